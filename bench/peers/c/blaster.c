/* blaster PORT PID WINDOW COUNT [rtt]: loads a node on 127.0.0.1 with the packets of its input.
 *
 * It sits at 127.0.0.1:10001, which is the address that its pings name.
 *
 * Standard input: packets, each behind its length (u32, little-endian); they are sent in order and
 * again from the start. At most WINDOW wait for an answer. What is not answered within 0.2 s is
 * lost, and after ten such times it ends. It looks for answers again and again before it sleeps: the
 * cost of waking it would be charged to the node. Prints one JSON line: packets, answers, lost, the processor time that process PID took,
 * the time on the wall, the lengths of the answers; with `rtt` also percentiles of round trips.
 * WINDOW 0: sends at full speed and waits for nothing.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SOURCE_PORT = 10001, BURST = 64, REPLY_BYTES = 65536, PATIENCE_MS = 200, SILENCES_MAX = 10, SPINS = 200 };

struct packet { uint8_t *at; uint32_t len; };

static struct packet *packets;
static size_t packet_count;
static uint8_t reply[BURST][REPLY_BYTES];
static struct mmsghdr out[BURST], in[BURST];
static struct iovec out_vector[BURST], in_vector[BURST];

static int64_t clock_ns(clockid_t id) {
    struct timespec t;
    if (clock_gettime(id, &t)) return 0;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void read_packets(void) {
    uint32_t len;
    size_t room = 0;
    while (fread(&len, sizeof len, 1, stdin) == 1) {
        if (packet_count == room) packets = realloc(packets, (room = room * 2 + 64) * sizeof *packets);
        packets[packet_count].at = malloc(len);
        packets[packet_count].len = len;
        if (fread(packets[packet_count++].at, 1, len, stdin) != len) exit(1);
    }
    if (packet_count == 0) exit(1);
}

static int connected_socket(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port)}, from = to;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    from.sin_port = htons(SOURCE_PORT);
    if (bind(fd, (struct sockaddr *)&from, sizeof from)) exit(1);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) exit(1);
    return fd;
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* One at a time, spinning for the answer. */
static void round_trips(int fd, size_t count) {
    int64_t *taken = calloc(count, sizeof *taken), start;
    size_t answered = 0;
    for (size_t i = 0; i < count; i++) {
        struct packet *p = &packets[i % packet_count];
        start = clock_ns(CLOCK_MONOTONIC);
        if (send(fd, p->at, p->len, 0) < 0) continue;
        while (recv(fd, reply[0], REPLY_BYTES, MSG_DONTWAIT) < 0)
            if (clock_ns(CLOCK_MONOTONIC) - start > PATIENCE_MS * 1000000) goto lost;
        taken[answered++] = clock_ns(CLOCK_MONOTONIC) - start;
    lost:;
    }
    qsort(taken, answered, sizeof *taken, compare);
    printf("{\"answers\": %zu, \"p50_ns\": %ld, \"p99_ns\": %ld}\n", answered,
           (long)(answered ? taken[answered / 2] : 0),
           (long)(answered ? taken[answered * 99 / 100] : 0));
}

static size_t send_some(int fd, size_t first, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct packet *p = &packets[(first + i) % packet_count];
        out_vector[i] = (struct iovec){p->at, p->len};
    }
    int n = sendmmsg(fd, out, (unsigned)count, 0);
    if (n < 0 && errno != ECONNREFUSED && errno != ENOBUFS) exit(1);
    return n < 0 ? 0 : (size_t)n;
}

/* Gives the number of answers; 0 when none came in time. */
static size_t receive_some(int fd, uint64_t *bytes) {
    int n = -1;
    for (int spins = 0; n <= 0 && spins < SPINS; spins++)
        n = recvmmsg(fd, in, BURST, MSG_DONTWAIT, NULL);
    if (n <= 0) {
        struct pollfd ready = {fd, POLLIN, 0};
        if (poll(&ready, 1, PATIENCE_MS) <= 0) return 0;
        n = recvmmsg(fd, in, BURST, MSG_DONTWAIT, NULL);
    }
    for (int i = 0; i < n; i++) *bytes += in[i].msg_len;
    return n < 0 ? 0 : (size_t)n;
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    int fd = connected_socket(atoi(argv[1]));
    clockid_t node = (clockid_t)(~(unsigned)atoi(argv[2]) << 3 | 2);
    size_t window = (size_t)atol(argv[3]), count = (size_t)atol(argv[4]);
    size_t sent = 0, answers = 0, lost = 0, n;
    uint64_t bytes = 0;
    int silences = 0;
    read_packets();
    for (int i = 0; i < BURST; i++) {
        in_vector[i] = (struct iovec){reply[i], REPLY_BYTES};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_vector[i], .msg_iovlen = 1};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_vector[i], .msg_iovlen = 1};
    }
    if (argc > 5 && !strcmp(argv[5], "rtt")) { round_trips(fd, count); return 0; }
    int64_t cpu = clock_ns(node), wall = clock_ns(CLOCK_MONOTONIC);
    while (answers + lost < count) {
        size_t open = window ? window - (sent - answers - lost) : BURST;
        if (open > BURST) open = BURST;
        if (open > count - sent) open = count - sent;
        if (open) sent += send_some(fd, sent, open);
        if (!window) { lost = sent; continue; }
        n = receive_some(fd, &bytes);
        if (n == 0) lost = sent - answers;
        if (n == 0 && ++silences == SILENCES_MAX) break;
        else answers = answers + n + lost > sent ? sent - lost : answers + n;
    }
    printf("{\"packets\": %zu, \"answers\": %zu, \"lost\": %zu, \"cpu_ns\": %ld, \"wall_ns\": %ld, "
           "\"bytes_back\": %lu}\n", sent, answers, lost, (long)(clock_ns(node) - cpu),
           (long)(clock_ns(CLOCK_MONOTONIC) - wall), (unsigned long)bytes);
    return 0;
}
