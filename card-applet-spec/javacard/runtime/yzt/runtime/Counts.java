package yzt.runtime;

import java.util.Map;
import java.util.TreeMap;

/** What the card did: operations by name, writes, bytes of memory. Counts, not times. */
public final class Counts {
    private final Map<String, Long> done = new TreeMap<>();
    long operations;
    long writtenBytes;
    long transactions;
    int largestTransaction;
    int transientBytes;
    int persistentBytes;
    int allocationsAfterInstall;
    boolean installed;

    public void count(String what) {
        done.merge(what, 1L, Long::sum);
    }

    public void allocated(int bytes) {
        if (installed) {
            allocationsAfterInstall++;
        } else {
            persistentBytes += bytes;
        }
    }

    void loaded(int bytes) {
        persistentBytes += bytes;
    }

    /** Write operations since the card was made. */
    public long operations() {
        return operations;
    }

    public int allocationsAfterInstall() {
        return allocationsAfterInstall;
    }

    public int largestTransaction() {
        return largestTransaction;
    }

    public int transientBytes() {
        return transientBytes;
    }

    public int persistentBytes() {
        return persistentBytes;
    }

    public long of(String what) {
        return done.getOrDefault(what, 0L);
    }

    /** All of it, one {@code name value} a line. */
    @Override
    public String toString() {
        StringBuilder out = new StringBuilder();
        done.forEach((what, times) -> out.append(what).append(' ').append(times).append('\n'));
        return out.append("write.operations ").append(operations)
            .append("\nwrite.bytes ").append(writtenBytes)
            .append("\nwrite.transactions ").append(transactions)
            .append("\nwrite.largest-transaction ").append(largestTransaction)
            .append("\nmemory.persistent ").append(persistentBytes)
            .append("\nmemory.transient ").append(transientBytes)
            .append("\nmemory.allocations-after-install ").append(allocationsAfterInstall)
            .append('\n').toString();
    }
}
