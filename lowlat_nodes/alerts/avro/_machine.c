/* SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runs the programs of program.py over the bodies of records, and fills rows.
 *
 * A body is hostile: nothing is read before it is known to lie within the body, a count is checked against the
 * bytes that are left, and rows, depth and memory have limits. Programs are ours, and trusted.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

/* As in program.py. */
enum {
    OP_END, OP_SKIP, OP_VARINTS, OP_TEXTS, OP_NULLABLES, OP_NULLABLE_TEXT, OP_UNION, OP_JUMP, OP_CALL, OP_RETURN,
    OP_ITEMS, OP_LOOP, OP_NEXT, OP_ROW, OP_READ
};
enum { BOOLEAN_F8, BOOLEAN_I8, VARINT_F8, VARINT_I8, FLOAT_F8, DOUBLE_F8, TEXT, SYMBOL };

/* As in reader.py. */
enum {
    FINE, TRUNCATED, OVERLONG, BRANCH, NEGATIVE, COUNT, DEPTH, ROWS, MEMORY, WIDTH, UTF8, INDEX, TRAILING, SIZE
};

#define MAX_DEPTH 128
#define MAX_BODY ((Py_ssize_t)1 << 30)
#define RELEASE_BYTES ((Py_ssize_t)1 << 18) /* Below, another thread would gain less than we may wait for it. */

typedef struct {
    const uint8_t *begin, *end;
} Body;

typedef struct {
    Py_ssize_t stride, rows, capacity, mark; /* mark: rows before the record at hand */
    uint8_t *cells, *row;
    const uint8_t *empty;
} Table;

typedef struct {
    int32_t code, place;
    int64_t at, value;
} Failure;

typedef struct {
    const int32_t *body; /* where an item begins; where a call returns to */
    const int32_t *loop; /* operands of the loop; null for a call */
    uint64_t left;
} Frame;

typedef struct {
    const int32_t *code;
    const uint8_t *symbols;
    Table *tables;
    int64_t max_rows;    /* of one record, all tables together */
    Py_ssize_t max_bytes; /* of all rows */
} Job;

/* Reading */

static inline int32_t
load_u32(const uint8_t *p)
{
    return (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
}

static inline double
load_float(const uint8_t *p)
{
    uint32_t bits = (uint32_t)load_u32(p);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double
load_double(const uint8_t *p)
{
    uint64_t bits = (uint64_t)(uint32_t)load_u32(p) | (uint64_t)(uint32_t)load_u32(p + 4) << 32;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Reads a zigzag integer of several bytes; returns what is wrong with it. */
static int
long_varint(const uint8_t **position, const uint8_t *end, int64_t *value)
{
    const uint8_t *p = *position;
    uint64_t bits = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (p == end)
            return TRUNCATED;
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            return OVERLONG;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            *position = p;
            return FINE;
        }
    }
    return OVERLONG;
}

static inline int
varint(const uint8_t **position, const uint8_t *end, int64_t *value)
{
    const uint8_t *p = *position;
    if (p < end && *p < 0x80) {
        *value = (int64_t)(*p >> 1) ^ -(int64_t)(*p & 1);
        *position = p + 1;
        return FINE;
    }
    return long_varint(position, end, value);
}

/* Whether these bytes are UTF-8 without surrogates, as str.decode takes them. */
static int
is_utf8(const uint8_t *p, const uint8_t *end)
{
    while (p < end) {
        uint8_t first = *p++;
        if (first < 0x80)
            continue;
        int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || end - p < more)
            return 0;
        uint8_t second = *p, least = 0x80, most = 0xbf;
        if (first == 0xe0) least = 0xa0;
        if (first == 0xed) most = 0x9f;
        if (first == 0xf0) least = 0x90;
        if (first == 0xf4) most = 0x8f;
        if (second < least || second > most)
            return 0;
        for (int i = 1; i < more; i++)
            if ((p[i] & 0xc0) != 0x80)
                return 0;
        p += more;
    }
    return 1;
}

/* Rows */

/* Begins a row of nulls. */
static int
add_row(Job *job, Table *table, Py_ssize_t *bytes)
{
    if (table->rows == table->capacity) {
        Py_ssize_t capacity = table->capacity ? 2 * table->capacity : 64;
        Py_ssize_t grown = (capacity - table->capacity) * table->stride;
        if (grown > job->max_bytes - *bytes)
            return MEMORY;
        uint8_t *cells = PyMem_RawRealloc(table->cells, (size_t)(capacity * table->stride) + 1);
        if (cells == NULL)
            return MEMORY;
        table->cells = cells;
        table->capacity = capacity;
        *bytes += grown;
    }
    table->row = table->cells + table->rows++ * table->stride;
    memcpy(table->row, table->empty, (size_t)table->stride);
    return FINE;
}

/* The machine */

#define FAIL(what, number)                                                                                          \
    do {                                                                                                            \
        failure->code = (what);                                                                                     \
        failure->place = (int32_t)(op - job->code);                                                                 \
        failure->at = p - body.begin;                                                                               \
        failure->value = (int64_t)(number);                                                                         \
        return NULL;                                                                                                \
    } while (0)

#define TAKE_VARINT(into)                                                                                           \
    do {                                                                                                            \
        int wrong = varint(&p, end, &(into));                                                                       \
        if (wrong)                                                                                                  \
            FAIL(wrong, 0);                                                                                         \
    } while (0)

#define NEED(width)                                                                                                 \
    do {                                                                                                            \
        if ((int64_t)(width) > end - p)                                                                             \
            FAIL(TRUNCATED, width);                                                                                 \
    } while (0)

#define TAKE_LENGTH(into)                                                                                           \
    do {                                                                                                            \
        TAKE_VARINT(into);                                                                                          \
        if ((into) < 0)                                                                                             \
            FAIL(NEGATIVE, into);                                                                                   \
        NEED(into);                                                                                                 \
    } while (0)

/* Reads one record; returns where it ends, or nothing and why. */
static const uint8_t *
run(Job *job, Body body, Py_ssize_t *bytes, Failure *failure)
{
    const int32_t *pc = job->code, *op = pc;
    const uint8_t *p = body.begin, *const end = body.end;
    Frame frames[MAX_DEPTH], *top = frames;
    int64_t n = 0, rows = 0;

    for (;;) {
        op = pc;
        switch (*pc++) {
        case OP_END:
            return p;
        case OP_SKIP:
            NEED(*pc);
            p += *pc++;
            break;
        case OP_VARINTS:
            for (int32_t i = *pc++; i > 0; i--)
                TAKE_VARINT(n);
            break;
        case OP_TEXTS:
            for (int32_t i = *pc++; i > 0; i--) {
                TAKE_LENGTH(n);
                p += n;
            }
            break;
        case OP_NULLABLES: {
            const uint8_t null = (uint8_t)(pc[0] << 1), value = null ^ 2;
            const int32_t *width = pc + 3, *const last = width + pc[2];
            int roomy = pc[1] <= end - p; /* then all of them lie within the body, whatever they are */
            pc = last;
            for (; width < last; width++) {
                if (!roomy && p == end)
                    FAIL(TRUNCATED, 1);
                uint8_t branch = *p;
                if (branch == value)
                    p++;
                else if (branch == null) {
                    p++;
                    continue;
                }
                else {
                    /* Neither in one byte: no branch, or an integer that takes more bytes than it needs. */
                    TAKE_VARINT(n);
                    if (n != 0 && n != 1)
                        FAIL(BRANCH, n);
                    roomy = 0;
                    if (n != value >> 1)
                        continue;
                }
                if (*width < 0)
                    TAKE_VARINT(n);
                else {
                    if (!roomy)
                        NEED(*width);
                    p += *width;
                }
            }
            break;
        }
        case OP_NULLABLE_TEXT:
            TAKE_VARINT(n);
            if (n != 0 && n != 1)
                FAIL(BRANCH, n);
            if (n != *pc++) {
                TAKE_LENGTH(n);
                p += n;
            }
            break;
        case OP_UNION:
            TAKE_VARINT(n);
            if (n < 0 || n >= *pc)
                FAIL(BRANCH, n);
            pc = job->code + pc[1 + n];
            break;
        case OP_JUMP:
            pc = job->code + *pc;
            break;
        case OP_CALL:
            if (top == frames + MAX_DEPTH)
                FAIL(DEPTH, MAX_DEPTH);
            *top++ = (Frame){pc + 1, NULL, 0};
            pc = job->code + *pc;
            break;
        case OP_RETURN:
            pc = (--top)->body;
            break;
        case OP_ITEMS: {
            const int64_t width = *pc++;
            for (;;) {
                TAKE_VARINT(n);
                if (n == 0)
                    break;
                if (n > 0) {
                    if (width && n > (end - p) / width)
                        FAIL(COUNT, n);
                    p += n * width;
                }
                else {
                    TAKE_LENGTH(n);
                    p += n;
                }
            }
            break;
        }
        case OP_LOOP:
            if (top == frames + MAX_DEPTH)
                FAIL(DEPTH, MAX_DEPTH);
            *top++ = (Frame){pc + 3, pc, 0};
            pc += 2;
            goto block;
        case OP_NEXT:
            if (--top[-1].left > 0) {
                pc = top[-1].body;
                break;
            }
        block: {
            const int32_t *loop = top[-1].loop;
            uint64_t items;
            for (;;) {
                TAKE_VARINT(n);
                if (n >= 0) {
                    items = (uint64_t)n;
                    break;
                }
                items = 0 - (uint64_t)n;
                TAKE_LENGTH(n);
                if (!loop[0])
                    break;
                p += n;
            }
            if (items == 0) {
                top--;
                pc = job->code + loop[2];
                break;
            }
            if (loop[1] ? items > (uint64_t)(end - p) : items > (uint64_t)job->max_rows)
                FAIL(COUNT, items > INT64_MAX ? INT64_MAX : (int64_t)items);
            top[-1].left = items;
            pc = top[-1].body;
            break;
        }
        case OP_ROW: {
            if (++rows > job->max_rows)
                FAIL(ROWS, job->max_rows);
            int wrong = add_row(job, job->tables + *pc++, bytes);
            if (wrong)
                FAIL(wrong, job->max_bytes);
            break;
        }
        case OP_READ: {
            const int32_t form = pc[0], null = pc[1], width = pc[4];
            uint8_t *cell = job->tables[pc[2]].row + pc[3];
            const uint8_t *start = p;
            if (null >= 0) {
                TAKE_VARINT(n);
                if (n != 0 && n != 1)
                    FAIL(BRANCH, n);
                if (n == null)
                    goto read;
            }
            double real;
            switch (form) {
            case BOOLEAN_F8:
            case BOOLEAN_I8:
                NEED(1);
                n = *p++ != 0;
                break;
            case VARINT_F8:
            case VARINT_I8:
                TAKE_VARINT(n);
                break;
            case FLOAT_F8:
                NEED(4);
                real = load_float(p);
                p += 4;
                memcpy(cell, &real, sizeof real);
                goto read;
            case DOUBLE_F8:
                NEED(8);
                real = load_double(p);
                p += 8;
                memcpy(cell, &real, sizeof real);
                goto read;
            case TEXT:
                TAKE_LENGTH(n);
                if (n > width)
                    FAIL(WIDTH, n);
                if (!is_utf8(p, p + n))
                    FAIL(UTF8, n);
                memcpy(cell, p, (size_t)n);
                memset(cell + n, 0, (size_t)(width - n));
                p += n;
                goto read;
            case SYMBOL:
                TAKE_VARINT(n);
                if (n < 0 || n >= pc[5])
                    FAIL(INDEX, n);
                memcpy(cell, job->symbols + pc[6] + n * width, (size_t)width);
                goto read;
            }
            if (form == BOOLEAN_F8 || form == VARINT_F8) {
                real = (double)n;
                memcpy(cell, &real, sizeof real);
            }
            else
                memcpy(cell, &n, sizeof n);
        read:
            if (pc[7])
                p = start;
            pc += 8;
            break;
        }
        }
    }
}

/* The type */

typedef struct {
    PyObject_HEAD
    PyObject *code, *symbols, *layouts; /* bytes, bytes, tuple of (stride, empty row, tuple of (offset, width)) */
    Py_ssize_t max_bytes;
    int64_t max_rows;
} Machine;

static void
Machine_dealloc(Machine *self)
{
    Py_XDECREF(self->code);
    Py_XDECREF(self->symbols);
    Py_XDECREF(self->layouts);
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
check_layouts(PyObject *layouts)
{
    if (PyTuple_GET_SIZE(layouts) == 0) {
        PyErr_SetString(PyExc_ValueError, "a program needs a layout for its scalars");
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(layouts); i++) {
        Py_ssize_t stride, size;
        const char *empty;
        PyObject *cells;
        PyObject *layout = PyTuple_GET_ITEM(layouts, i);
        if (!PyTuple_Check(layout)) {
            PyErr_SetString(PyExc_TypeError, "a layout must be a tuple");
            return -1;
        }
        if (!PyArg_ParseTuple(layout, "ny#O!", &stride, &empty, &size, &PyTuple_Type, &cells))
            return -1;
        if (stride < 0 || size != stride) {
            PyErr_SetString(PyExc_ValueError, "an empty row must be as long as its stride");
            return -1;
        }
        for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(cells); k++) {
            Py_ssize_t offset, width;
            PyObject *cell = PyTuple_GET_ITEM(cells, k);
            if (!PyTuple_Check(cell) || !PyArg_ParseTuple(cell, "nn", &offset, &width)) {
                if (!PyErr_Occurred())
                    PyErr_SetString(PyExc_TypeError, "a cell must be a tuple");
                return -1;
            }
            if (offset < 0 || width <= 0 || width > stride - offset) {
                PyErr_SetString(PyExc_ValueError, "a cell must lie within its row");
                return -1;
            }
        }
    }
    return 0;
}

static PyObject *
Machine_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"code", "symbols", "layouts", "max_rows", "max_bytes", NULL};
    PyObject *code, *symbols, *layouts;
    long long max_rows;
    Py_ssize_t max_bytes;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "SSO!Ln", names, &code, &symbols, &PyTuple_Type, &layouts,
                                     &max_rows, &max_bytes))
        return NULL;
    if (check_layouts(layouts) < 0)
        return NULL;
    Machine *self = (Machine *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->code = Py_NewRef(code);
    self->symbols = Py_NewRef(symbols);
    self->layouts = Py_NewRef(layouts);
    self->max_rows = max_rows;
    self->max_bytes = max_bytes;
    return (PyObject *)self;
}

/* Makes the tables of a job, empty; returns nothing where there is no memory. */
static Table *
make_tables(Machine *self)
{
    Py_ssize_t count = PyTuple_GET_SIZE(self->layouts);
    Table *tables = PyMem_RawCalloc((size_t)count, sizeof(Table));
    if (tables == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *layout = PyTuple_GET_ITEM(self->layouts, i);
        tables[i].stride = PyLong_AsSsize_t(PyTuple_GET_ITEM(layout, 0));
        tables[i].empty = (const uint8_t *)PyBytes_AS_STRING(PyTuple_GET_ITEM(layout, 1));
    }
    return tables;
}

static void
free_tables(Table *tables, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        PyMem_RawFree(tables[i].cells);
    PyMem_RawFree(tables);
}

/* Copies the rows of a table into its columns, one after another, each at a multiple of 8 bytes. */
static PyObject *
columns_of(const Table *table, PyObject *cells)
{
    Py_ssize_t size = 0, count = PyTuple_GET_SIZE(cells);
    for (Py_ssize_t k = 0; k < count; k++) {
        Py_ssize_t width = PyLong_AsSsize_t(PyTuple_GET_ITEM(PyTuple_GET_ITEM(cells, k), 1));
        size += (table->rows * width + 7) & ~(Py_ssize_t)7;
    }
    PyObject *columns = PyByteArray_FromStringAndSize(NULL, size);
    if (columns == NULL)
        return NULL;
    uint8_t *to = (uint8_t *)PyByteArray_AS_STRING(columns);
    for (Py_ssize_t k = 0; k < count; k++) {
        PyObject *cell = PyTuple_GET_ITEM(cells, k);
        const Py_ssize_t offset = PyLong_AsSsize_t(PyTuple_GET_ITEM(cell, 0));
        const Py_ssize_t width = PyLong_AsSsize_t(PyTuple_GET_ITEM(cell, 1));
        const uint8_t *from = table->cells + offset;
        if (width == 8)
            for (Py_ssize_t row = 0; row < table->rows; row++, from += table->stride)
                memcpy(to + 8 * row, from, 8);
        else
            for (Py_ssize_t row = 0; row < table->rows; row++, from += table->stride)
                memcpy(to + width * row, from, (size_t)width);
        to += (table->rows * width + 7) & ~(Py_ssize_t)7;
    }
    return columns;
}

/* Runs all bodies; a bad one is taken back, and its scalars are null. Returns how many failures it noted. */
static Py_ssize_t
run_all(Job *job, const Py_buffer *views, Py_ssize_t count, Py_ssize_t tables, int64_t **offsets,
        Failure *failures, Py_ssize_t *bytes)
{
    Py_ssize_t failed = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Body body = {views[i].buf, (const uint8_t *)views[i].buf + views[i].len};
        Table *scalars = job->tables;
        Failure *failure = failures + i;
        for (Py_ssize_t t = 1; t < tables; t++)
            job->tables[t].mark = job->tables[t].rows;
        scalars->row = scalars->cells + i * scalars->stride;
        memcpy(scalars->row, scalars->empty, (size_t)scalars->stride);
        failure->code = FINE;
        if (views[i].len > MAX_BODY)
            *failure = (Failure){SIZE, -1, 0, MAX_BODY};
        else {
            const uint8_t *stop = run(job, body, bytes, failure);
            if (stop != NULL && stop != body.end)
                *failure = (Failure){TRAILING, -1, stop - body.begin, body.end - stop};
        }
        if (failure->code != FINE) {
            failed++;
            memcpy(scalars->row, scalars->empty, (size_t)scalars->stride);
            for (Py_ssize_t t = 1; t < tables; t++)
                job->tables[t].rows = job->tables[t].mark;
        }
        offsets[0][i + 1] = i + 1;
        for (Py_ssize_t t = 1; t < tables; t++)
            offsets[t][i + 1] = job->tables[t].rows;
    }
    return failed;
}

static PyObject *
list_failures(const Failure *failures, Py_ssize_t count, Py_ssize_t failed)
{
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list != NULL && failed > 0 && i < count; i++) {
        const Failure *failure = failures + i;
        if (failure->code == FINE)
            continue;
        failed--;
        PyObject *item = Py_BuildValue("(niiLL)", i, (int)failure->code, (int)failure->place,
                                       (long long)failure->at, (long long)failure->value);
        if (item == NULL || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

/* Copies what was read into Python's objects. */
static PyObject *
results(Machine *self, const Job *job, PyObject **offsets, const Failure *failures, Py_ssize_t count,
        Py_ssize_t failed)
{
    Py_ssize_t tables = PyTuple_GET_SIZE(self->layouts);
    PyObject *read = PyTuple_New(tables);
    for (Py_ssize_t t = 0; read != NULL && t < tables; t++) {
        PyObject *columns = columns_of(job->tables + t, PyTuple_GET_ITEM(PyTuple_GET_ITEM(self->layouts, t), 2));
        PyObject *item = columns == NULL ? NULL
            : Py_BuildValue("(nOO)", job->tables[t].rows, offsets[t], columns);
        Py_XDECREF(columns);
        if (item == NULL)
            Py_CLEAR(read);
        else
            PyTuple_SET_ITEM(read, t, item);
    }
    PyObject *refused = read == NULL ? NULL : list_failures(failures, count, failed);
    PyObject *result = refused == NULL ? NULL : PyTuple_Pack(2, read, refused);
    Py_XDECREF(read);
    Py_XDECREF(refused);
    return result;
}

PyDoc_STRVAR(read_doc, "read(bodies) -> ((rows, offsets, columns) of each table, refusals)");

static PyObject *
Machine_read(Machine *self, PyObject *argument)
{
    PyObject *bodies = PySequence_Tuple(argument); /* a list could change while we read it */
    if (bodies == NULL)
        return NULL;
    const Py_ssize_t count = PyTuple_GET_SIZE(bodies), tables = PyTuple_GET_SIZE(self->layouts);
    Py_ssize_t held = 0, total = 0, bytes = 0;
    PyObject *result = NULL;
    Py_buffer *views = PyMem_Calloc((size_t)count + 1, sizeof(Py_buffer));
    Failure *failures = PyMem_Calloc((size_t)count + 1, sizeof(Failure));
    PyObject **offsets = PyMem_Calloc((size_t)tables, sizeof(PyObject *));
    int64_t **numbers = PyMem_Calloc((size_t)tables, sizeof(int64_t *));
    Table *made = make_tables(self);
    if (made == NULL)
        goto done;
    if (views == NULL || failures == NULL || offsets == NULL || numbers == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (; held < count; held++) {
        if (PyObject_GetBuffer(PyTuple_GET_ITEM(bodies, held), views + held, PyBUF_SIMPLE) < 0)
            goto done;
        total += views[held].len;
    }
    made[0].cells = PyMem_RawMalloc((size_t)count * (size_t)made[0].stride + 1);
    if (made[0].cells == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    made[0].rows = made[0].capacity = count;
    for (Py_ssize_t t = 0; t < tables; t++) {
        offsets[t] = PyByteArray_FromStringAndSize(NULL, (count + 1) * (Py_ssize_t)sizeof(int64_t));
        if (offsets[t] == NULL)
            goto done;
        numbers[t] = (int64_t *)PyByteArray_AS_STRING(offsets[t]);
        numbers[t][0] = 0;
    }
    Job job = {
        (const int32_t *)PyBytes_AS_STRING(self->code), (const uint8_t *)PyBytes_AS_STRING(self->symbols), made,
        self->max_rows, self->max_bytes,
    };
    Py_ssize_t failed;
    if (total >= RELEASE_BYTES) {
        Py_BEGIN_ALLOW_THREADS
        failed = run_all(&job, views, count, tables, numbers, failures, &bytes);
        Py_END_ALLOW_THREADS
    }
    else
        failed = run_all(&job, views, count, tables, numbers, failures, &bytes);
    result = results(self, &job, offsets, failures, count, failed);
done:
    while (held > 0)
        PyBuffer_Release(views + --held);
    for (Py_ssize_t t = 0; offsets != NULL && t < tables; t++)
        Py_XDECREF(offsets[t]);
    if (made != NULL)
        free_tables(made, tables);
    PyMem_Free(numbers);
    PyMem_Free(offsets);
    PyMem_Free(failures);
    PyMem_Free(views);
    Py_DECREF(bodies);
    return result;
}

PyDoc_STRVAR(length_doc, "length(body) -> (bytes of the record at its start, refusal or None)");

static PyObject *
Machine_length(Machine *self, PyObject *argument)
{
    Py_buffer view;
    Py_ssize_t bytes = 0;
    if (PyObject_GetBuffer(argument, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    Table *tables = make_tables(self);
    if (tables == NULL) {
        PyBuffer_Release(&view);
        return NULL;
    }
    Job job = {
        (const int32_t *)PyBytes_AS_STRING(self->code), (const uint8_t *)PyBytes_AS_STRING(self->symbols), tables,
        self->max_rows, self->max_bytes,
    };
    Body body = {view.buf, (const uint8_t *)view.buf + view.len};
    Failure failure = {SIZE, -1, 0, MAX_BODY};
    const uint8_t *stop = view.len > MAX_BODY ? NULL : run(&job, body, &bytes, &failure);
    PyObject *result = stop == NULL
        ? Py_BuildValue("(n(niiLL))", (Py_ssize_t)0, (Py_ssize_t)0, (int)failure.code, (int)failure.place,
                        (long long)failure.at, (long long)failure.value)
        : Py_BuildValue("(nO)", (Py_ssize_t)(stop - body.begin), Py_None);
    free_tables(tables, PyTuple_GET_SIZE(self->layouts));
    PyBuffer_Release(&view);
    return result;
}

static PyMethodDef methods[] = {
    {"read", (PyCFunction)Machine_read, METH_O, read_doc},
    {"length", (PyCFunction)Machine_length, METH_O, length_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(machine_doc, "Machine(code, symbols, layouts, max_rows, max_bytes): runs a program");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)machine_doc},
    {Py_tp_new, Machine_new},
    {Py_tp_dealloc, Machine_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    "lowlat_nodes.alerts.avro._machine.Machine", sizeof(Machine), 0, Py_TPFLAGS_DEFAULT, slots,
};

static int
add_type(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&spec);
    int status = type == NULL ? -1 : PyModule_AddObjectRef(module, "Machine", type);
    Py_XDECREF(type);
    return status;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, add_type},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_machine", "Runs the programs of program.py.", 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__machine(void)
{
    return PyModuleDef_Init(&module);
}
