// libhdf5 opens files by name, and a confined process can open none. Here is what it asks of a file (a virtual file driver, a table of
// functions) over a descriptor that is open already.
#pragma once

#include <stdint.h>

/// Opens the HDF5 file that stands in `size` bytes from `begin` on of the file behind `descriptor`, read-only, by pread alone; after
/// `hdf5_bind`. Returns its identifier (`hid_t`), or a negative number. Neither locks nor closes the descriptor, which must stay open.
int64_t hdf5_open_descriptor(int descriptor, uint64_t begin, uint64_t size);
