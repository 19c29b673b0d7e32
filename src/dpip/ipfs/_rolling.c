/* The rolling hashes of rolling.py, which explains them, at the speed of memory.
 * Limited API: one build serves every Python from 3.11 on. */
#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define WINDOW 16
#define DEGREE 53
#define POLYNOMIAL 0x3DF305DFB2A805ULL
#define BUZ_WINDOW 32
#define BUZ_MIN (128 * 1024)
#define BUZ_MAX (512 * 1024)
#define BUZ_MASK ((1u << 17) - 1)

static uint64_t out_table[256], mod_table[256];

static const uint32_t buz_words[256] = {
    0x6236e7d5, 0x10279b0b, 0x72818182, 0xdc526514, 0x2fd41e3d, 0x777ef8c8, 0x83ee5285, 0x2c8f3637,
    0x2f049c1a, 0x57df9791, 0x9207151f, 0x9b544818, 0x74eef658, 0x2028ca60, 0x0271d91a, 0x27ae587e,
    0xecf9fa5f, 0x236e71cd, 0xf43a8a2e, 0x0bb13380, 0x9e57912c, 0x89a26cdb, 0x9fcf3d71, 0xa86da6f1,
    0x9c49f376, 0x346aecc7, 0xf094a9ee, 0xea99e9cb, 0xb01713c6, 0x088acffb, 0x2960a0fb, 0x344a626c,
    0x7ff22a46, 0x6d7a1aa5, 0x6a714916, 0x41d454ca, 0x8325b830, 0x0b65f563, 0x447fecca, 0xf9d0ea5e,
    0xc1d9d3d4, 0xcb5ec574, 0x55aae902, 0x86edc0e7, 0x0d3a9e33, 0xe70dc1e1, 0xe3c5f639, 0x9b43140a,
    0xc6490ac5, 0x5e4030fb, 0x8e976dd5, 0xa87468ea, 0xf830ef6f, 0xcc1ed5a5, 0x611f4e78, 0xddd11905,
    0xf2613904, 0x566c67b9, 0x905a5ccc, 0x7b37b3a4, 0x4b53898a, 0x6b8fd29d, 0xaad81575, 0x511be414,
    0x3cfac1e7, 0x8029a179, 0xd40efeda, 0x07380e02, 0xdc9beffd, 0x2d049082, 0x99bc7831, 0xff5002a8,
    0x21ce7646, 0x01cd049b, 0x0f43994f, 0xc3c6c5a5, 0xbbda5f50, 0x0ec15ec7, 0x9adb19b6, 0x0c1e80b9,
    0xb9b52968, 0xae162419, 0x2542b405, 0x91a42e9d, 0x6be0f668, 0x6ed7a6b9, 0xbc2777b4, 0xe162ce56,
    0x4266aad5, 0x60fdb704, 0x66f832a5, 0x9595f6ca, 0xfee83ced, 0x55228d99, 0x12bf0e28, 0x66896459,
    0x0789afda, 0x0282baa8, 0x2367a343, 0x591491b0, 0x2ff1a4b1, 0x410739b6, 0x9b7055a0, 0x2e0eb229,
    0x24fc8252, 0x3327d3df, 0xb0782669, 0x1c62e069, 0x7f503101, 0xf50593ae, 0xd9eb275d, 0xe00eb678,
    0x5917ccde, 0x97b9660a, 0xdd06202d, 0xed229e22, 0xa9c735bf, 0xd6316fe6, 0x6fc72e4c, 0x0206dfa2,
    0xd6b15c5a, 0x69d87b49, 0x09c97745, 0x13445d61, 0x35a975aa, 0x859aa9b9, 0x65380013, 0xd1fb6391,
    0xc29255fd, 0x784a3b91, 0xb9e74c26, 0x63ce4d40, 0xc07cbe9e, 0xe6e4529e, 0x0fb3632f, 0x9438d9c9,
    0x682f94a8, 0xf8fd4611, 0x257ec1ed, 0x475ce3d6, 0x60ee2db1, 0x2afab002, 0x2b9e4878, 0x86b340de,
    0x1482fdca, 0xfe41b3bf, 0xd4a412b0, 0xe09db98c, 0xc1af5d53, 0x7e55e25f, 0xd3346b38, 0xb7a12cbd,
    0x9c6827ba, 0x71f78bee, 0x8c3a0f52, 0x150491b0, 0xf26de912, 0x233e3a4e, 0xd309ebba, 0xa0a9e0ff,
    0xca2b5921, 0xeeb9893c, 0x33829e88, 0x9870cc2a, 0x23c4b9d0, 0xeba32ea3, 0xbdac4d22, 0x3bc8c44c,
    0x1e8d0397, 0xf9327735, 0x783b009f, 0x0eb83742, 0x2621dc71, 0xed017d03, 0x5c760aa1, 0x5a69814b,
    0x96e3047f, 0xa93c9cde, 0x615c86f5, 0xb4322aa5, 0x4225534d, 0x0d2e2de3, 0xccfccc4b, 0x0bac2a57,
    0xf0a06d04, 0xbc78d737, 0xf2d1f766, 0xf5a7953c, 0xbcdfda85, 0x5213b7d5, 0xbce8a328, 0xd38f5f18,
    0xdb094244, 0xfe571253, 0x317fa7ee, 0x4a324f43, 0x3ffc39d9, 0x51b3fa8e, 0x7a4bee9f, 0x78bbc682,
    0x9f5c0350, 0x02fe286c, 0x245ab686, 0xed6bf7d7, 0x0ac4988a, 0x3fe010fa, 0xc65fe369, 0xa45749cb,
    0x2b84e537, 0xde9ff363, 0x20540f9a, 0xaa8c9b34, 0x5bc476b3, 0x1d574bd7, 0x929100ad, 0x4721de4d,
    0x27df1b05, 0x58b18546, 0xb7e76764, 0xdf904e58, 0x97af57a1, 0xbd4dc433, 0xa6256dfd, 0xf63998f3,
    0xf1e05833, 0xe20acf26, 0xf57fd9d6, 0x90300b4d, 0x89df4290, 0x68d01cbc, 0xcf893ee3, 0xcc42a046,
    0x778e181b, 0x67265c76, 0xe981a4c4, 0x82991da1, 0x708f7294, 0xe6e2ae62, 0xfc441870, 0x95e1b0b6,
    0x0445f825, 0x5a93b47f, 0x5e9cf4be, 0x84da71e7, 0x9d9582b0, 0x9bf835ef, 0x591f61e2, 0x43325985,
    0x5d2de32e, 0x8d8fbf0f, 0x95b30f38, 0x07ad5b6e, 0x4e934edf, 0x3cd4990e, 0x9053e259, 0x5c41857d,
};

/* Multiply by x, modulo the polynomial. */
static uint64_t times_x(uint64_t value) {
    value <<= 1;
    return value >> DEGREE & 1 ? value ^ POLYNOMIAL : value;
}

static void fill_tables(void) {
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t leaving = byte, reduced = byte;
        for (int bit = 0; bit < 8 * (WINDOW - 1); bit++) leaving = times_x(leaving);
        for (int bit = 0; bit < DEGREE; bit++) reduced = times_x(reduced);
        out_table[byte] = leaving;
        mod_table[byte] = reduced | (uint64_t)byte << DEGREE;
    }
}

static inline uint64_t entered(uint64_t digest, uint8_t byte) {
    return (digest << 8 | byte) ^ mod_table[digest >> (DEGREE - 8)];
}

static Py_ssize_t rabin_cut(const uint8_t *data, Py_ssize_t length, Py_ssize_t smallest,
                            Py_ssize_t largest, uint64_t mask) {
    Py_ssize_t end = length < largest ? length : largest;
    Py_ssize_t at = smallest - WINDOW;
    uint64_t digest = 0;
    if (end < smallest) return end;
    for (; at < smallest; at++) digest = entered(digest, data[at]);
    while ((digest & mask) != 0 && at < end) {
        digest = entered(digest ^ out_table[data[at - WINDOW]], data[at]);
        at++;
    }
    return at;
}

static inline uint32_t rotated(uint32_t state) { return state << 1 | state >> 31; }

static Py_ssize_t buzhash_cut(const uint8_t *data, Py_ssize_t length) {
    Py_ssize_t end = length < BUZ_MAX ? length : BUZ_MAX;
    Py_ssize_t at = BUZ_MIN;
    uint32_t state = 0;
    if (at >= end) return end;
    for (Py_ssize_t i = at - BUZ_WINDOW; i < at; i++) state = rotated(state) ^ buz_words[data[i]];
    while (at < end && (state & BUZ_MASK) != 0) {
        state = rotated(state) ^ buz_words[data[at - BUZ_WINDOW]] ^ buz_words[data[at]];
        at++;
    }
    return at;
}

static int from_start(const Py_buffer *view, Py_ssize_t start) {
    if (start >= 0 && start <= view->len) return 1;
    PyErr_SetString(PyExc_ValueError, "start lies outside the data");
    return 0;
}

static PyObject *rabin(PyObject *self, PyObject *args) {
    Py_buffer view;
    Py_ssize_t start, smallest, largest, end;
    unsigned long long mask;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*nnnK", &view, &start, &smallest, &largest, &mask)) return NULL;
    if (from_start(&view, start)) {
        if (smallest < WINDOW || largest < smallest) {
            PyErr_SetString(PyExc_ValueError, "sizes are out of range");
        } else {
            Py_BEGIN_ALLOW_THREADS
            end = rabin_cut((const uint8_t *)view.buf + start, view.len - start, smallest,
                            largest, mask);
            Py_END_ALLOW_THREADS
            result = PyLong_FromSsize_t(start + end);
        }
    }
    PyBuffer_Release(&view);
    return result;
}

static PyObject *buzhash(PyObject *self, PyObject *args) {
    Py_buffer view;
    Py_ssize_t start, end;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*n", &view, &start)) return NULL;
    if (from_start(&view, start)) {
        Py_BEGIN_ALLOW_THREADS
        end = buzhash_cut((const uint8_t *)view.buf + start, view.len - start);
        Py_END_ALLOW_THREADS
        result = PyLong_FromSsize_t(start + end);
    }
    PyBuffer_Release(&view);
    return result;
}

#define C1 0x87c37b91114253d5ULL
#define C2 0x4cf5ad432745937fULL

static inline uint64_t spun(uint64_t word, int by) { return word << by | word >> (64 - by); }
static inline uint64_t mixed_one(uint64_t word) { return spun(word * C1, 31) * C2; }
static inline uint64_t mixed_two(uint64_t word) { return spun(word * C2, 33) * C1; }

static uint64_t little_endian(const uint8_t *data, Py_ssize_t length) {
    uint64_t word = 0;
    for (Py_ssize_t i = length < 8 ? length : 8; i-- > 0;) word = word << 8 | data[i];
    return word;
}

static uint64_t finished(uint64_t word) {
    word = (word ^ word >> 33) * 0xff51afd7ed558ccdULL;
    word = (word ^ word >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return word ^ word >> 33;
}

static uint64_t murmur3_hash(const uint8_t *data, Py_ssize_t length) {
    uint64_t one = 0, two = 0;
    Py_ssize_t at = 0, left = length % 16;
    for (; at + 16 <= length; at += 16) {
        one = spun(one ^ mixed_one(little_endian(data + at, 8)), 27);
        one = (one + two) * 5 + 0x52dce729;
        two = spun(two ^ mixed_two(little_endian(data + at + 8, 8)), 31);
        two = (two + one) * 5 + 0x38495ab5;
    }
    if (left > 8) two ^= mixed_two(little_endian(data + at + 8, left - 8));
    one ^= mixed_one(little_endian(data + at, left));
    one ^= (uint64_t)length;
    two ^= (uint64_t)length;
    one += two;
    two += one;
    return finished(one) + finished(two);
}

static PyObject *murmur3(PyObject *self, PyObject *args) {
    Py_buffer view;
    uint64_t hash;
    if (!PyArg_ParseTuple(args, "y*", &view)) return NULL;
    hash = murmur3_hash(view.buf, view.len);
    PyBuffer_Release(&view);
    return PyLong_FromUnsignedLongLong(hash);
}

static PyMethodDef methods[] = {
    {"rabin", rabin, METH_VARARGS, "rabin(data, start, smallest, largest, mask) -> end"},
    {"buzhash", buzhash, METH_VARARGS, "buzhash(data, start) -> end"},
    {"murmur3", murmur3, METH_VARARGS, "murmur3(data) -> 64 bits"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_rolling", NULL, -1, methods};

PyMODINIT_FUNC PyInit__rolling(void) {
    fill_tables();
    return PyModule_Create(&module);
}
