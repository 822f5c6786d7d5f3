// The stand-in for NCCL: ranks meet in a file of shared memory, and everything between them is polled there.
#pragma once
#include <atomic>

#include "driver.h"

namespace nccl {

// ncclResult_t, ncclDataType_t and ncclRedOp_t, as nccl.h numbers them.
using driver::success;
enum Result : int {
    unhandledCudaError = 1, systemError = 2, internalError = 3, invalidArgument = 4, invalidUsage = 5, remoteError = 6, inProgress = 7,
};
enum Type : int { float32 = 7, float64 = 8 };
enum Reduction : int { sum = 0, average = 4 };

// ncclUniqueId. Here it is a path.
struct Id {
    char path[128];
};

// The beginning of ncclConfig_t, which has grown from version to version.
struct Config {
    size_t size;
    unsigned magic, version;
    int blocking;
};
constexpr unsigned configMagic = 0xcafebeef;
constexpr int undefined = -2147483647 - 1;

// MARK: What ranks share

// left: after its last sum. aborted: at any time.
enum class Stage : int { absent, joined, left, aborted };

constexpr int mostRanks = 64;
constexpr size_t chunkBytes = 256 << 10;

// Sums go by chunks. In each step a rank writes its chunk when all have taken the last ones, and takes everybody's when all have written.
struct alignas(64) Member {
    std::atomic<Stage> stage;
    std::atomic<uint64_t> written, taken;  // steps
    // Of the sum that the chunk belongs to.
    uint64_t count;
    int type;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<Stage>::is_always_lock_free);

// The file; it begins as zeros, and the members' chunks follow.
struct Shared {
    std::atomic<int> ranks;  // 0 until the first has joined
    std::atomic<int> error;  // what all ranks are told; set once, after the text
    char text[240];
    Member members[mostRanks];

    char* chunk(int rank) { return reinterpret_cast<char*>(this) + headerBytes() + size_t(rank) * chunkBytes; }
    static size_t headerBytes() { return (sizeof(Shared) + 4095) / 4096 * 4096; }
    static size_t bytes(int ranks) { return headerBytes() + size_t(ranks) * chunkBytes; }
};

// MARK: Communicators

// Puts a sum into its stream.
using Launch = std::function<int()>;

struct Communicator {
    driver::Context* context = nullptr;
    int rank = 0, ranks = 0;
    bool isBlocking = true;
    std::string path;
    int process = 0;  // that joined: a fork of it has no part in this
    int file = -1;
    Shared* shared = nullptr;  // null: this rank has left
    size_t mapped = 0;

    int error = success;   // sticky
    bool isReady = false;  // somebody was told that all have joined
    bool isFinalizing = false, isAborted = false;
    uint64_t sums = 0, step = 0;   // those begun
    std::vector<Launch> launches;  // that ncclCommGetAsyncError is to make
    driver::Marker last;           // the latest sum in a stream: they happen one after another

    // Takes its place in the file, which it makes where it is the first.
    int join();
    // Touches the file no longer, and removes it where nobody is left who would.
    void leave(Stage stage);
    // inProgress until all have joined, then success; or what went wrong.
    int check();
    // An error that all ranks see.
    void failAll(int result, const std::string& why);
    // Goes on with what was begun and answers as ncclCommGetAsyncError.
    int state();

private:
    int enter();
    void forget();
    bool hasDied(int other);
    void announce(int result, const std::string& why);
};
using Handle = std::shared_ptr<Communicator>;

// A new id's; empty where there can be none.
std::string newPath();

// Waits until it is no longer in progress.
int settle(const Handle& communicator);
// The communicator, where it can be used; else null, and `result` says why not.
Handle findReady(const std::string& call, void* handle, int& result);
// Launches now; of a communicator that does not block, when ncclCommGetAsyncError is called next.
int submit(const Handle& communicator, Launch launch);

// Between ncclGroupStart and ncclGroupEnd, of this thread.
struct Group {
    int depth = 0, error = success;
    std::vector<Handle> joined;
    std::vector<std::pair<Handle, Launch>> launches;
};
Group& group();

}  // namespace nccl
