# serf_inspect.pxi: Serf's messages as dictionaries, for tests and for people. It shows what the
# tables of the core find; there is no second decoder here. The form is that of the golden vectors.
# Of what travels in other messages (conflicts, keys) the core knows nothing: that is Python's.

SERF_TYPE_NAMES = {
    SERF_LEAVE: "leave", SERF_JOIN: "join", SERF_USER_EVENT: "userEvent", SERF_QUERY: "query",
    SERF_RESPONSE: "queryResponse", SERF_RELAY: "relay",
}


cdef const message_t* serf_message_of(int type_) noexcept:
    """The table of a Serf message that is one map; else NULL."""
    if type_ == SERF_LEAVE:
        return &LEAVE_INTENT
    if type_ == SERF_JOIN:
        return &JOIN_INTENT
    if type_ == SERF_USER_EVENT:
        return &USER_EVENT
    if type_ == SERF_QUERY:
        return &QUERY
    if type_ == SERF_RESPONSE:
        return &RESPONSE
    return &RELAY if type_ == SERF_RELAY else NULL


cdef dict filter_dict(slice_t filter_):
    cdef tag_filter_t by_tag
    cdef uint64_t count = 0, i
    cdef slice_t node
    cdef slice_t body = slice_from(filter_, 1)
    cdef cursor_t c = cursor_of(body)
    out = {"raw": hex_of(filter_), "type": slice_first(filter_)}
    if out["type"] == FILTER_NODES and msgpack_list(&c, &count):
        out["nodes"] = []
        for i in range(count):
            if not msgpack_raw(&c, &node):
                break
            out["nodes"].append(text_of(node))
    elif out["type"] == FILTER_TAG and decode_body(&FILTER_BY_TAG, body, &by_tag) == DROP_NONE:
        out["Tag"] = text_of(by_tag.tag)
        out["Expr"] = text_of(by_tag.expr)
    return out


cdef object filters_list(slice_t encoded):
    cdef cursor_t c = cursor_of(encoded)
    cdef uint64_t count = 0, i
    cdef slice_t filter_
    if encoded.len == 0 or slice_first(encoded) == 0xC0 or not msgpack_list(&c, &count):
        return None
    out = []
    for i in range(count):
        if not msgpack_raw(&c, &filter_):
            break
        out.append(filter_dict(filter_))
    return out


cdef dict dest_dict(slice_t encoded):
    cdef dest_t dest
    if decode_body(&RELAY_DEST, encoded, &dest) != DROP_NONE:
        return {}
    return body_of(&RELAY_DEST, &dest)


def decode_serf(bytes data not None):
    """The payload of a user message as a dictionary in the form of the golden vectors: `type`,
    `type_name`, and `body` or `error`; a relay also has `inner`."""
    cdef slice_t message = slice_of(<const uint8_t*>PyBytes_AsString(data), len(data))
    cdef cursor_t c = cursor_of(slice_from(message, 1))
    cdef int type_ = slice_first(message)
    cdef const message_t* m = serf_message_of(type_)
    cdef body_t value
    out = {"type": type_, "type_name": SERF_TYPE_NAMES.get(type_, "unknown")}
    if m == NULL:
        out["error"] = "unsupported type"
        return out
    if message_decode(m, &c, &value) != DROP_NONE:
        out["error"] = error_text(DROP_DECODE)
        return out
    out["body"] = body_of(m, &value)
    if type_ == SERF_QUERY:
        out["body"]["Filters"] = filters_list((<query_t*>&value).filters)
    elif type_ == SERF_RELAY:
        out["body"]["DestAddr"] = dest_dict((<relay_t*>&value).dest)
        out["inner"] = decode_serf(slice_bytes(cursor_rest(&c)))
    return out


cdef bytes encoded_dest(dict dest):
    """The address of a relay: its port is a signed number, so its table writes it."""
    cdef dest_t value
    cdef uint8_t[SERF_HEAD_BYTES] bytes_
    cdef writer_t w = writer_of(bytes_, SERF_HEAD_BYTES)
    ip = bytes.fromhex(dest["IP"]["$hex"])
    zone = dest["Zone"].encode()
    value.ip = slice_of(<const uint8_t*>PyBytes_AsString(ip), len(ip))
    value.port = dest["Port"]
    value.zone = slice_of(<const uint8_t*>PyBytes_AsString(zone), len(zone))
    message_encode(&RELAY_DEST, &w, &value)
    return slice_bytes(writer_slice(&w))


def encode_serf(str name not None, dict body not None):
    """A Serf message, byte for byte as Serf encodes it, of a body in the form of `decode_serf`; for
    a relay its header. Raises ValueError for an unknown name or field."""
    cdef const message_t* m = NULL
    for type_, known in SERF_TYPE_NAMES.items():
        if known == name:
            m = serf_message_of(type_)
    if m == NULL:
        raise ValueError(f"no Serf message {name!r}")
    body = dict(body)
    if "Filters" in body:
        filters = body["Filters"]
        raws = None if filters is None else [bytes.fromhex(f["raw"]["$hex"]) for f in filters]
        body["Filters"] = pack(raws)
    if "DestAddr" in body:
        body["DestAddr"] = encoded_dest(body["DestAddr"])
    return encode_table(m, name, body)
