#include "hdf5_library.h"

#include <dlfcn.h>

static hdf5_functions bound;

const hdf5_functions *hdf5_bound(void) { return &bound; }

// Twice, for the argument to be expanded before it is made a text.
#define TEXT(name) #name
#define NAME(name) TEXT(name)

#ifdef CHEXNET_LINKED_HDF5
bool hdf5_is_linked(void) { return true; }
#else
bool hdf5_is_linked(void) { return false; }
#endif

const char *hdf5_bind(void *library) {
#ifdef CHEXNET_LINKED_HDF5
  (void)library;
#define FIND_FUNCTION(name) bound.name = name;
#define FIND_IDENTIFIER(name) bound.name = name;
#else
#define FIND_FUNCTION(name)                                                            \
  if ((*(void **)(&bound.name) = dlsym(library, NAME(name))) == NULL) return NAME(name);
#define FIND_IDENTIFIER(name)                                                          \
  {                                                                                    \
    const hid_t *identifier = dlsym(library, NAME(name));                              \
    if (identifier == NULL) return NAME(name);                                         \
    bound.name = *identifier;                                                          \
  }
#endif
  HDF5_FUNCTIONS(FIND_FUNCTION)
  unsigned major = 0, minor = 0, release = 0;
  if (bound.H5get_libversion(&major, &minor, &release) < 0 || major != H5_VERS_MAJOR || minor != H5_VERS_MINOR) {
    return "the version of the headers, " NAME(H5_VERS_MAJOR) "." NAME(H5_VERS_MINOR);
  }
  // The identifiers have their values after it.
  if (bound.H5open() < 0) return "a working H5open";
  HDF5_IDENTIFIERS(FIND_IDENTIFIER)
  return NULL;
}

void hdf5_be_silent(void) { bound.H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

typedef struct {
  int (*body)(const char *name, const hdf5_place *place, void *context);
  void *context;
} link_call;

static herr_t call_with_link(hid_t group, const char *name, const H5L_info_t *information, void *data) {
  (void)group;
  const link_call *call = data;
#if H5_VERSION_GE(1, 12, 0)
  const hdf5_place place = information->u.token;
#else
  const hdf5_place place = information->u.address;
#endif
  return call->body(name, information->type == H5L_TYPE_HARD ? &place : NULL, call->context);
}

herr_t hdf5_for_each_link(
    hid_t group, int (*body)(const char *name, const hdf5_place *place, void *context), void *context) {
  link_call call = {body, context};
  hsize_t index = 0;
  return bound.H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &index, call_with_link, &call);
}

hid_t hdf5_open_place(hid_t group, hdf5_place place) {
#if H5_VERSION_GE(1, 12, 0)
  return bound.H5Oopen_by_token(group, place);
#else
  return bound.H5Oopen_by_addr(group, place);
#endif
}

int64_t hdf5_plain_address(hid_t dataset) {
  // Messages of an object header (HDF5 File Format Specification 3.0, IV.A.2): 7 lists external files, 11 filters.
  const uint64_t strange = 1 << 7 | 1 << 11;
#if H5_VERSION_GE(1, 12, 0)
  H5O_native_info_t information;
  if (bound.H5Oget_native_info(dataset, &information, H5O_NATIVE_INFO_HDR) < 0) return -1;
#else
  H5O_info_t information;
  if (bound.H5Oget_info2(dataset, &information, H5O_INFO_HDR) < 0) return -1;
#endif
  if ((information.hdr.mesg.present & strange) != 0) return -1;
  const haddr_t address = bound.H5Dget_offset(dataset);
  return address == HADDR_UNDEF || address > INT64_MAX ? -1 : (int64_t)address;
}

hid_t hdf5_make_f16le(void) {
  const hid_t type = bound.H5Tcopy(bound.H5T_IEEE_F32LE_g);
  if (type < 0) return -1;
  // Sign at bit 15, 5 bits of exponent from 10, 10 bits of mantissa from 0.
  if (bound.H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 || bound.H5Tset_size(type, 2) < 0 ||
      bound.H5Tset_ebias(type, 15) < 0) {
    bound.H5Tclose(type);
    return -1;
  }
  return type;
}
