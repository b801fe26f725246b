/* server MODE BATCH: `ping` answers pings, `echo` sends back what comes. Prints its port.
 *
 * The fastest plain shape: blocking recvmmsg of what is there, one sendmmsg. Ends with its input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

enum { BATCH_MAX = 64, SLOT_BYTES = 65536 };

static uint8_t in[BATCH_MAX][SLOT_BYTES], out[BATCH_MAX][ACK_BYTES_MAX];
static struct mmsghdr received[BATCH_MAX], sent[BATCH_MAX];
static struct iovec in_vector[BATCH_MAX], out_vector[BATCH_MAX];
static struct sockaddr_in peers[BATCH_MAX];
static struct member table[TABLE_SLOTS];

static int bound_socket(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = 2 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (bind(fd, (struct sockaddr *)&address, len)) exit(1);
    getsockname(fd, (struct sockaddr *)&address, &len);
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void *end_with_input(void *unused) {
    char byte;
    while (read(0, &byte, 1) > 0) continue;
    exit(0);
    return unused;
}

int main(int argc, char **argv) {
    int echo = argc > 1 && !strcmp(argv[1], "echo");
    unsigned batch = argc > 2 ? (unsigned)atoi(argv[2]) : 8;
    struct text self = {(const uint8_t *)"node", 4};
    char name[32];
    pthread_t watcher;
    pthread_create(&watcher, NULL, end_with_input, NULL);
    for (int i = 0; i < 256; i++) {
        snprintf(name, sizeof name, "member-%06d", i);
        member_add(table, name);
    }
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        in_vector[i] = (struct iovec){in[i], SLOT_BYTES};
        received[i].msg_hdr = (struct msghdr){.msg_name = &peers[i], .msg_iov = &in_vector[i],
                                              .msg_iovlen = 1};
        sent[i].msg_hdr = (struct msghdr){.msg_iov = &out_vector[i], .msg_iovlen = 1,
                                          .msg_namelen = sizeof peers[i]};
    }
    for (int fd = bound_socket();;) {
        for (unsigned i = 0; i < batch; i++) received[i].msg_hdr.msg_namelen = sizeof peers[i];
        int count = recvmmsg(fd, received, batch, MSG_WAITFORONE, NULL), answers = 0;
        for (int i = 0; i < count; i++) {
            uint32_t len = received[i].msg_len;
            out_vector[answers] = (struct iovec){in[i], len};
            if (!echo) {
                len = answer(table, self, in[i], len, out[i]);
                out_vector[answers] = (struct iovec){out[i], len};
            }
            if (len) sent[answers++].msg_hdr.msg_name = &peers[i];
        }
        for (int done = 0, n; done < answers; done += n) {
            n = sendmmsg(fd, sent + done, (unsigned)(answers - done), 0);
            if (n <= 0) n = 1;
        }
    }
}
