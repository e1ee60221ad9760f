/* Gives the card commands and prints its last answer in hex: `host COMMAND...`, each in hex. */
#include <stdio.h>
#include <string.h>

size_t card_answers(const unsigned char *commands, size_t length, unsigned char *answer, size_t room);

int main(int argc, char **argv)
{
    unsigned char commands[2048], answer[258];
    size_t used = 0;
    for (int i = 1; i < argc; i++) {
        size_t count = strlen(argv[i]) / 2;
        if (count > 255 || used + 1 + count > sizeof commands)
            return 2;
        commands[used++] = (unsigned char)count;
        for (size_t at = 0; at < count; at++) {
            unsigned byte;
            if (sscanf(argv[i] + 2 * at, "%2x", &byte) != 1)
                return 2;
            commands[used++] = (unsigned char)byte;
        }
    }
    size_t length = card_answers(commands, used, answer, sizeof answer);
    for (size_t at = 0; at < length; at++)
        printf("%02x", answer[at]);
    printf("\n");
    return length < 2;
}
