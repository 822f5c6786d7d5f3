#define _GNU_SOURCE
#include "hdf5_descriptor.h"

#include "hdf5_library.h"

#include <errno.h>
#if H5_VERSION_GE(1, 13, 0)
#if __has_include(<hdf5/serial/H5FDdevelop.h>)
#include <hdf5/serial/H5FDdevelop.h>
#else
#include <H5FDdevelop.h>
#endif
#endif
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/// Where a file stands: what libhdf5 copies as the driver's information.
typedef struct {
  int descriptor;
  haddr_t begin;
  haddr_t size;
} place;

enum { BLOCK = 4096, BLOCKS = 64 };

/// A block of the file, kept because libhdf5 reads in pieces of some hundred bytes that stand side by side.
typedef struct {
  /// Of the block's first byte; HADDR_UNDEF where it holds none.
  haddr_t address;
  unsigned char bytes[BLOCK];
} kept_block;

/// An open file, as libhdf5 knows it: its own part comes first.
typedef struct {
  H5FD_t common;
  place place;
  /// End of the addresses that are in use, as libhdf5 sets it.
  haddr_t used_end;
  /// Block n of the file is kept at n modulo BLOCKS.
  kept_block blocks[BLOCKS];
} descriptor_file;

static H5FD_t *open_file(const char *name, unsigned flags, hid_t access, haddr_t largest) {
  (void)name;
  (void)largest;
  const place *place = hdf5_bound()->H5Pget_driver_info(access);
  if (place == NULL || flags != H5F_ACC_RDONLY) return NULL;
  descriptor_file *file = calloc(1, sizeof *file);
  if (file == NULL) return NULL;
  file->place = *place;
  for (int index = 0; index < BLOCKS; index++) file->blocks[index].address = HADDR_UNDEF;
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
  return ((const descriptor_file *)file)->place.size;
}

/// Bytes of the file, from the system; 0, or -1.
static herr_t fetch(place place, haddr_t address, size_t count, void *buffer) {
  for (size_t done = 0; done < count;) {
    const ssize_t got =
        pread(place.descriptor, (char *)buffer + done, count - done, (off_t)(place.begin + address + done));
    if (got > 0) {
      done += (size_t)got;
    } else if (got == 0 || errno != EINTR) {
      return -1;
    }
  }
  return 0;
}

static herr_t read_file(H5FD_t *common, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t count, void *buffer) {
  (void)type;
  (void)transfer;
  descriptor_file *file = (descriptor_file *)common;
  const haddr_t size = file->place.size;
  if (address > size || count > size - address) return -1;
  if (count >= BLOCK) return fetch(file->place, address, count, buffer);
  while (count > 0) {
    const haddr_t start = address / BLOCK * BLOCK;
    kept_block *block = &file->blocks[address / BLOCK % BLOCKS];
    const size_t length = size - start < BLOCK ? (size_t)(size - start) : BLOCK;
    if (block->address != start) {
      block->address = HADDR_UNDEF;
      if (fetch(file->place, start, length, block->bytes) < 0) return -1;
      block->address = start;
    }
    const size_t skipped = (size_t)(address - start);
    const size_t piece = count < length - skipped ? count : length - skipped;
    memcpy(buffer, block->bytes + skipped, piece);
    buffer = (char *)buffer + piece;
    address += piece;
    count -= piece;
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
    .fapl_size = sizeof(place),
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

int64_t hdf5_open_descriptor(int descriptor, uint64_t begin, uint64_t size) {
  const place place = {.descriptor = descriptor, .begin = begin, .size = size};
  const hdf5_functions *hdf5 = hdf5_bound();
  const hid_t driver = hdf5->H5FDregister(&descriptor_driver);
  if (driver < 0) return -1;
  hid_t file = -1;
  const hid_t access = hdf5->H5Pcreate(hdf5->H5P_CLS_FILE_ACCESS_ID_g);
  if (access >= 0) {
    if (hdf5->H5Pset_driver(access, driver, &place) >= 0) {
      file = hdf5->H5Fopen("descriptor", H5F_ACC_RDONLY, access);
    }
    hdf5->H5Pclose(access);
  }
  // The open file keeps the driver.
  hdf5->H5FDunregister(driver);
  return file;
}
