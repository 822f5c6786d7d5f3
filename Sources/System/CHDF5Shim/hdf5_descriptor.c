#define _GNU_SOURCE
#include "hdf5_descriptor.h"

#include <errno.h>
#include <hdf5.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif
#include <stdlib.h>
#include <unistd.h>

/// An open file, as libhdf5 knows it: its own part comes first.
typedef struct {
  H5FD_t common;
  int descriptor;
  /// End of the addresses that are in use, as libhdf5 sets it.
  haddr_t used_end;
  haddr_t size;
} descriptor_file;

static H5FD_t *open_file(const char *name, unsigned flags, hid_t access, haddr_t largest) {
  (void)name;
  (void)largest;
  const int *descriptor = H5Pget_driver_info(access);
  if (descriptor == NULL || flags != H5F_ACC_RDONLY) return NULL;
  const off_t size = lseek(*descriptor, 0, SEEK_END);
  if (size < 0) return NULL;
  descriptor_file *file = calloc(1, sizeof *file);
  if (file == NULL) return NULL;
  file->descriptor = *descriptor;
  file->size = (haddr_t)size;
  return &file->common;
}

static herr_t close_file(H5FD_t *file) {
  free(file);
  return 0;
}

static herr_t query(const H5FD_t *file, unsigned long *flags) {
  (void)file;
  *flags = H5FD_FEAT_DATA_SIEVE;
  return 0;
}

static haddr_t get_used_end(const H5FD_t *file, H5FD_mem_t type) {
  (void)type;
  return ((const descriptor_file *)file)->used_end;
}

static herr_t set_used_end(H5FD_t *file, H5FD_mem_t type, haddr_t end) {
  (void)type;
  ((descriptor_file *)file)->used_end = end;
  return 0;
}

static haddr_t get_size(const H5FD_t *file, H5FD_mem_t type) {
  (void)type;
  return ((const descriptor_file *)file)->size;
}

static herr_t read_file(H5FD_t *common, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t count, void *buffer) {
  (void)type;
  (void)transfer;
  const descriptor_file *file = (const descriptor_file *)common;
  if (address > file->size || count > file->size - address) return -1;
  for (size_t done = 0; done < count;) {
    const ssize_t got = pread(file->descriptor, (char *)buffer + done, count - done, (off_t)(address + done));
    if (got > 0) {
      done += (size_t)got;
    } else if (got == 0 || errno != EINTR) {
      return -1;
    }
  }
  return 0;
}

/// libhdf5 takes no driver without it.
static herr_t write_file(
    H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t count, const void *buffer) {
  (void)file;
  (void)type;
  (void)transfer;
  (void)address;
  (void)count;
  (void)buffer;
  return -1;
}

static const H5FD_class_t descriptor_driver = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)(H5FD_RESV + 1),
#endif
    .name = "descriptor",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(int),
    .open = open_file,
    .close = close_file,
    .query = query,
    .get_eoa = get_used_end,
    .set_eoa = set_used_end,
    .get_eof = get_size,
    .read = read_file,
    .write = write_file,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

int64_t hdf5_shim_open_descriptor(int descriptor) {
  const hid_t driver = H5FDregister(&descriptor_driver);
  if (driver < 0) return -1;
  hid_t file = -1;
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (access >= 0) {
    if (H5Pset_driver(access, driver, &descriptor) >= 0) file = H5Fopen("descriptor", H5F_ACC_RDONLY, access);
    H5Pclose(access);
  }
  // The open file keeps the driver.
  H5FDunregister(driver);
  return file;
}
