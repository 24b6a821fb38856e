/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <Python.h>

#include "faults.hpp"

namespace gateway {

void tell_fault(const char *where, const char *what) noexcept
{
    // PJSIP runs without Python's lock, and media on threads that Python does not know.
    const PyGILState_STATE state = PyGILState_Ensure();
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_RuntimeError, what);
    PyObject *name = PyUnicode_FromString(where);
    PyErr_WriteUnraisable(name); // sys.unraisablehook writes it into the log
    Py_XDECREF(name);
    PyGILState_Release(state);
}

}
