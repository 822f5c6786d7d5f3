#pragma once
#include <hdf5.h>

// HDF5 names its types by comma expressions, (H5open(), H5T_NATIVE_FLOAT_g), its flags by casts, and functions that have
// several versions by macros: Swift imports none of them. Each function here returns the value of the macro in its name and
// does nothing else.
static inline hid_t shim_H5T_IEEE_F32LE(void) { return H5T_IEEE_F32LE; }
static inline hid_t shim_H5T_IEEE_F64LE(void) { return H5T_IEEE_F64LE; }
static inline hid_t shim_H5T_STD_I64LE(void) { return H5T_STD_I64LE; }
static inline hid_t shim_H5T_C_S1(void) { return H5T_C_S1; }
static inline hid_t shim_H5P_DEFAULT(void) { return H5P_DEFAULT; }
static inline hid_t shim_H5P_FILE_ACCESS(void) { return H5P_FILE_ACCESS; }
static inline hid_t shim_H5P_FILE_CREATE(void) { return H5P_FILE_CREATE; }
static inline hid_t shim_H5P_GROUP_CREATE(void) { return H5P_GROUP_CREATE; }
static inline hid_t shim_H5P_DATASET_CREATE(void) { return H5P_DATASET_CREATE; }
static inline hid_t shim_H5P_LINK_CREATE(void) { return H5P_LINK_CREATE; }
static inline hid_t shim_H5S_ALL(void) { return H5S_ALL; }
static inline unsigned shim_H5F_ACC_TRUNC(void) { return H5F_ACC_TRUNC; }
/// Stops HDF5 from printing its error stack on stderr.
static inline herr_t shim_H5Eset_auto2_off(void) { return H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

/// The type of a link (`H5L_type_t`), or H5L_TYPE_ERROR.
static inline H5L_type_t shim_H5Lget_info_type(hid_t group, const char *name) {
  H5L_info_t info;
  return H5Lget_info(group, name, &info, H5P_DEFAULT) < 0 ? H5L_TYPE_ERROR : info.type;
}

/// What `shim_H5Literate` calls with each name; it stops where that does not return 0.
typedef int (*shim_name_body)(const char *name, void *context);

typedef struct {
  shim_name_body body;
  void *context;
} shim_name_call;

static inline herr_t shim_call_with_name(hid_t group, const char *name, const H5L_info_t *info, void *data) {
  (void)group, (void)info;
  const shim_name_call *call = (const shim_name_call *)data;
  return call->body(name, call->context);
}

/// The names of a group's members in ascending order, in one pass: by index, each would cost a walk from the first. Its callback's
/// type has versions.
static inline herr_t shim_H5Literate(hid_t group, shim_name_body body, void *context) {
  shim_name_call call = {body, context};
  hsize_t index = 0;
  return H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &index, shim_call_with_name, &call);
}
