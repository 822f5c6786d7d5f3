// Bulk copies: boxes of matrices on their way to shared memory, whose bytes a barrier there counts, and boxes stored from it.
//
// A box that is copied comes when a thread waits for its phase, as late as it may; one that is stored goes when its thread waits for it. What is
// checked:
//   * a CopyBarrier is prepared before its first use, and a barrier of the block comes before that of another thread;
//   * a phase brings the bytes that were expected, and somebody waits for it before the next one begins;
//   * boxes lie where the swizzle's pattern begins, and, as far as they are inside their matrix, in memory that is there;
//   * what a box overwrites nobody still reads, and no thread touches it before that has waited, or met at a barrier one that has;
//   * what a box overwrites or stores was written before its writer's last fenceAsyncProxy that a barrier followed, and is not written before the
//     wait;
//   * nothing is under way at the end.
#pragma once
#include "collectives.h"
#include "matrix.h"
#include "proxy.h"

struct CopyBarrier;
struct tensor_map;

namespace emu {

void prepare(CopyBarrier& barrier, Place place);
void expectBytes(CopyBarrier& barrier, int bytes, Place place);
void startBox(void* shared, const tensor_map& map, int row, int column, CopyBarrier& barrier, Place place);
void waitBytes(CopyBarrier& barrier, int phase, Place place);

void storeBox(const tensor_map& map, int row, int column, const void* shared, Place place);
void commitBoxes();
// Until at most `pending` groups of this thread's are under way.
void waitBoxes(size_t pending);

// For a new block.
void forgetBulkCopies();
// Ends the launch where a thread ends before its boxes, or before those that it has asked for.
void requireNoBoxes();

}  // namespace emu
