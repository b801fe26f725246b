/* What a ping -> ack server must do with a packet, written in C as one would write it by hand.
 *
 * The yardstick: a msgpack map in any key order is decoded, the name compared, the sender looked
 * up in a hash table, the ack encoded. No label, CRC, compound, encryption or queue.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdint.h>
#include <string.h>

enum { PING = 0, ACK = 2, TABLE_SLOTS = 1024, ACK_BYTES_MAX = 32 };

struct text { const uint8_t *at; uint32_t len; };
struct reader { const uint8_t *at, *end; };
struct ping { uint32_t seq; struct text node, source_addr, source_node; uint16_t source_port; };
struct member { char name[32]; uint32_t len, acks; };

static inline int take(struct reader *r, uint32_t n, struct text *out) {
    if ((size_t)(r->end - r->at) < n) return 0;
    out->at = r->at;
    out->len = n;
    r->at += n;
    return 1;
}

static inline int number_of(struct reader *r, uint32_t width, uint64_t *out) {
    struct text bytes;
    if (!take(r, width, &bytes)) return 0;
    *out = 0;
    for (uint32_t i = 0; i < width; i++) *out = *out << 8 | bytes.at[i];
    return 1;
}

static inline int unsigned_of(struct reader *r, uint64_t max, uint64_t *out) {
    if (r->at == r->end) return 0;
    uint8_t head = *r->at++;
    if (head <= 0x7f) *out = head;
    else if (head == 0xc0) *out = 0;
    else if (head < 0xcc || head > 0xcf || !number_of(r, 1u << (head - 0xcc), out)) return 0;
    return *out <= max;
}

static inline int text_of(struct reader *r, struct text *out) {
    uint64_t n;
    if (r->at == r->end) return 0;
    uint8_t head = *r->at++;
    if ((head & 0xe0) == 0xa0) return take(r, head & 0x1f, out);
    if (head == 0xc0) { out->at = 0; out->len = 0; return 1; }
    if (head >= 0xd9 && head <= 0xdb && number_of(r, 1u << (head - 0xd9), &n))
        return take(r, (uint32_t)n, out);
    if (head >= 0xc4 && head <= 0xc6 && number_of(r, 1u << (head - 0xc4), &n))
        return take(r, (uint32_t)n, out);
    return 0;
}

static inline int is(struct text text, const char *name, uint32_t len) {
    return text.len == len && memcmp(text.at, name, len) == 0;
}

/* The body behind the type byte. Unknown keys are an error: nobody sends any. */
static inline int ping_of(struct reader *r, struct ping *out) {
    uint64_t value;
    struct text key;
    memset(out, 0, sizeof *out);
    if (r->at == r->end || (*r->at & 0xf0) != 0x80) return 0;
    for (uint32_t left = *r->at++ & 0x0f; left > 0; left--) {
        if (!text_of(r, &key)) return 0;
        if (is(key, "Node", 4)) { if (!text_of(r, &out->node)) return 0; }
        else if (is(key, "SeqNo", 5)) {
            if (!unsigned_of(r, UINT32_MAX, &value)) return 0;
            out->seq = (uint32_t)value;
        }
        else if (is(key, "SourceAddr", 10)) { if (!text_of(r, &out->source_addr)) return 0; }
        else if (is(key, "SourceNode", 10)) { if (!text_of(r, &out->source_node)) return 0; }
        else if (is(key, "SourcePort", 10)) {
            if (!unsigned_of(r, UINT16_MAX, &value)) return 0;
            out->source_port = (uint16_t)value;
        }
        else return 0;
    }
    return 1;
}

static inline uint64_t hash_of(struct text name) {
    uint64_t hash = 0xcbf29ce484222325u ^ name.len, word = 0;
    uint32_t i = 0;
    for (; i + 8 <= name.len; i += 8) {
        memcpy(&word, name.at + i, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, name.at + i, name.len - i);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* Open addressing; NULL when there is no such name. */
static inline struct member *member_of(struct member *table, struct text name) {
    for (uint32_t at = (uint32_t)hash_of(name);; at++) {
        struct member *member = &table[at % TABLE_SLOTS];
        if (member->len == 0) return 0;
        if (member->len == name.len && memcmp(member->name, name.at, name.len) == 0) return member;
    }
}

static inline void member_add(struct member *table, const char *name) {
    struct text text = {(const uint8_t *)name, (uint32_t)strlen(name)};
    uint32_t at = (uint32_t)hash_of(text);
    while (table[at % TABLE_SLOTS].len) at++;
    memcpy(table[at % TABLE_SLOTS].name, name, text.len);
    table[at % TABLE_SLOTS].len = text.len;
}

static inline uint32_t ack_put(uint8_t *out, uint32_t seq) {
    static const uint8_t head[] = "\x02\x82\xa7Payload\xc0\xa5SeqNo";
    uint32_t n = sizeof head - 1;
    memcpy(out, head, sizeof head - 1);
    if (seq <= 0x7f) out[n++] = (uint8_t)seq;
    else if (seq <= 0xff) { out[n++] = 0xcc; out[n++] = (uint8_t)seq; }
    else {
        uint32_t bytes = seq <= 0xffff ? 2 : 4;
        out[n++] = bytes == 2 ? 0xcd : 0xce;
        for (uint32_t i = bytes; i-- > 0;) out[n++] = (uint8_t)(seq >> 8 * i);
    }
    return n;
}

/* A whole packet: the length of the ack, or 0 when there is none. */
static inline uint32_t answer(struct member *table, struct text self, const uint8_t *packet,
                              uint32_t len, uint8_t *out) {
    struct reader r = {packet + 1, packet + len};
    struct ping ping;
    struct member *member;
    if (len < 2 || packet[0] != PING || !ping_of(&r, &ping)) return 0;
    if (ping.node.len && (ping.node.len != self.len || memcmp(ping.node.at, self.at, self.len)))
        return 0;
    member = member_of(table, ping.source_node);
    if (member) member->acks++;
    return ack_put(out, ping.seq);
}

#endif
