// The functions of libhdf5, looked up at run time: linked into the executable, the library and the 25 that it needs itself (libcurl
// among them) would be loaded by every command, and a machine without HDF5 could run none.
#pragma once

#include <stdbool.h>

// `hdf5/serial` where Debian puts the build without MPI.
#if __has_include(<hdf5/serial/hdf5.h>)
#include <hdf5/serial/hdf5.h>
#else
#include <hdf5.h>
#endif

// The headers' constants call the library first; here it was started before (`hdf5_bind`).
#undef H5CHECK
#undef H5OPEN
#define H5CHECK
#define H5OPEN

#if H5_VERSION_GE(1, 12, 0)
#define HDF5_FUNCTIONS_OF_VERSION(X) X(H5Oget_native_info) X(H5Oopen_by_token)
#else
#define HDF5_FUNCTIONS_OF_VERSION(X) X(H5Oget_info2) X(H5Oopen_by_addr)
#endif

/// Every function that is called, under the name that the headers' macros give it in this version.
#define HDF5_FUNCTIONS(X)                                                                                               \
  X(H5get_libversion) X(H5open)                                                                                         \
  X(H5Aclose) X(H5Acreate2) X(H5Aexists) X(H5Aget_space) X(H5Aget_type) X(H5Aopen) X(H5Aread) X(H5Awrite)               \
  X(H5Dclose) X(H5Dcreate2) X(H5Dget_create_plist) X(H5Dget_offset) X(H5Dget_space) X(H5Dget_storage_size)              \
  X(H5Dget_type) X(H5Dopen2) X(H5Dread) X(H5Dvlen_reclaim) X(H5Dwrite)                                                  \
  X(H5Eset_auto2)                                                                                                       \
  X(H5FDregister) X(H5FDunregister)                                                                                     \
  X(H5Fclose) X(H5Fcreate) X(H5Fflush) X(H5Fget_create_plist) X(H5Fget_file_image) X(H5Fopen)                           \
  X(H5Gclose) X(H5Gcreate2) X(H5Gopen2)                                                                                 \
  X(H5Iget_type)                                                                                                        \
  X(H5Literate)                                                                                                         \
  X(H5Oclose) HDF5_FUNCTIONS_OF_VERSION(X)                                                                              \
  X(H5PLset_loading_state)                                                                                              \
  X(H5Pclose) X(H5Pcreate) X(H5Pget_driver_info) X(H5Pget_external_count) X(H5Pget_filter2) X(H5Pget_layout)            \
  X(H5Pget_nfilters) X(H5Pget_userblock) X(H5Pset_create_intermediate_group) X(H5Pset_driver) X(H5Pset_fapl_core)       \
  X(H5Pset_obj_track_times)                                                                                             \
  X(H5Sclose) X(H5Screate) X(H5Screate_simple) X(H5Sget_simple_extent_dims) X(H5Sget_simple_extent_ndims)               \
  X(H5Sget_simple_extent_npoints)                                                                                       \
  X(H5Tclose) X(H5Tcopy) X(H5Tequal) X(H5Tget_class) X(H5Tget_size) X(H5Tis_variable_str) X(H5Tset_ebias)               \
  X(H5Tset_fields) X(H5Tset_size) X(H5Tset_strpad)

/// The library's variables behind the macros of types and of classes of property lists.
#define HDF5_IDENTIFIERS(X)                                                                                             \
  X(H5T_IEEE_F32LE_g) X(H5T_IEEE_F64LE_g) X(H5T_STD_I64LE_g) X(H5T_C_S1_g)                                              \
  X(H5P_CLS_DATASET_CREATE_ID_g) X(H5P_CLS_FILE_ACCESS_ID_g) X(H5P_CLS_FILE_CREATE_ID_g) X(H5P_CLS_GROUP_CREATE_ID_g)   \
  X(H5P_CLS_LINK_CREATE_ID_g)

#define HDF5_FUNCTION_FIELD(name) __typeof__(name) *_Nonnull name;
#define HDF5_IDENTIFIER_FIELD(name) hid_t name;

typedef struct {
  HDF5_FUNCTIONS(HDF5_FUNCTION_FIELD)
  HDF5_IDENTIFIERS(HDF5_IDENTIFIER_FIELD)
} hdf5_functions;

/// Whether the executable has a libhdf5 of its own, linked statically: compiled with CHEXNET_LINKED_HDF5, as by Tools/package.sh.
bool hdf5_is_linked(void);

/// Looks everything up in the open library (`dlopen`; NULL for the executable's own), and starts it. NULL, or what it does not have;
/// "the version of …" where it is not of the version (major and minor number) of the headers, whose structures it would read and
/// write in another form. Not thread-safe.
const char *_Nullable hdf5_bind(void *_Nullable library);

/// What `hdf5_bind` found; it must have succeeded.
const hdf5_functions *_Nonnull hdf5_bound(void);

// Of what Swift does not import: macros with casts, and functions whose structures or callbacks have versions.

static const hid_t hdf5_default = H5P_DEFAULT;
static const hid_t hdf5_everything = H5S_ALL;
static const unsigned hdf5_truncating = H5F_ACC_TRUNC;

/// Stops the library from printing its error stack on stderr.
void hdf5_be_silent(void);

/// Where an object stands in the file.
#if H5_VERSION_GE(1, 12, 0)
typedef H5O_token_t hdf5_place;
#else
typedef haddr_t hdf5_place;
#endif

/// Calls `body` with the name of each of a group's links, in ascending order until it does not return 0, and with the place of the
/// object where it is a hard link, else with NULL. In one pass: by index, each would cost a walk from the first. Negative where that
/// failed.
herr_t hdf5_for_each_link(
    hid_t group,
    int (*_Nonnull body)(const char *_Nullable name, const hdf5_place *_Nullable place, void *_Nullable context),
    void *_Nullable context);

/// Opens the object that a group's link leads to: without looking for the name once more.
hid_t hdf5_open_place(hid_t group, hdf5_place place);

/// Where in the file the numbers of a dataset stand, as they are and in one piece; negative where they do not: in chunks, packed, in
/// other files, or nowhere yet.
int64_t hdf5_plain_address(hid_t dataset);

/// float16 of IEEE 754, little-endian, as h5py makes it. A new type; negative where that failed.
hid_t hdf5_make_f16le(void);
