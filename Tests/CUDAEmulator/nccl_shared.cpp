// The stand-in for NCCL: the file that ranks share, who is in it, and who is alive.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "nccl_communicator.h"

namespace nccl {

std::string newPath() {
    const char* temporary = getenv("TMPDIR");
    std::string path = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : temporary && *temporary ? temporary : "/tmp";
    unsigned long random[2];
    if (getrandom(random, sizeof random, 0) != sizeof random) return "";
    char name[64];
    snprintf(name, sizeof name, "/emulated-nccl-%016lx%016lx", random[0], random[1]);
    path += name;
    return path.size() < sizeof(Id::path) ? path : "";
}

// MARK: Locks

// Of bytes of the file: each rank holds that of its number for as long as its process lives, and this one while it changes who takes part.
// (A process that was killed still has its number until somebody waits for it; its locks are gone.)
static constexpr int entrance = mostRanks;

// The lock's type afterwards: of a question, F_UNLCK where nobody else holds it. -1: it failed.
static int lockByte(int file, int command, int byte, int type) {
    struct flock lock = {};
    lock.l_type = short(type);
    lock.l_start = byte;
    lock.l_len = 1;
    while (fcntl(file, command, &lock))
        if (errno != EINTR) return -1;
    return lock.l_type;
}

bool Communicator::hasDied(int other) {
    const auto isIn = [&] { return shared->members[other].stage.load() == Stage::joined; };
    // Who leaves says so before it gives up its lock: so it is asked again.
    return other != rank && isIn() && lockByte(file, F_OFD_GETLK, other, F_WRLCK) == F_UNLCK && isIn();
}

// MARK: Joining and leaving

int Communicator::join() {
    for (;;) {
        file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0) return driver::refuse(systemError, "ncclCommInitRankConfig: " + path + " cannot be opened");
        struct stat status;
        if (lockByte(file, F_OFD_SETLKW, entrance, F_WRLCK) == -1 || fstat(file, &status)) {
            forget();
            return driver::refuse(systemError, "ncclCommInitRankConfig: " + path + " has no locks");
        }
        if (status.st_nlink == 0) {  // removed since it was opened
            forget();
            continue;
        }
        mapped = size_t(status.st_size);
        const int result = enter();
        if (result) forget();
        else lockByte(file, F_OFD_SETLK, entrance, F_UNLCK);
        return result;
    }
}

// With the entrance locked.
int Communicator::enter() {
    const auto refuse = [&](int result, const std::string& why) {
        return driver::refuse(result, "ncclCommInitRankConfig: rank " + std::to_string(rank) + " of " + std::to_string(ranks) + ": " + why);
    };
    const bool isFirst = mapped == 0;
    if (isFirst) mapped = Shared::bytes(ranks);
    void* memory = MAP_FAILED;
    if (!isFirst || !posix_fallocate(file, 0, off_t(mapped))) memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) {
        if (isFirst) unlink(path.c_str());
        return refuse(systemError, "no shared memory at " + path);
    }
    shared = static_cast<Shared*>(memory);
    if (isFirst) shared->ranks = ranks;
    const int told = shared->ranks;
    if (told != ranks) {
        const std::string mine = std::to_string(ranks), theirs = std::to_string(told);
        announce(invalidUsage, "rank " + std::to_string(rank) + " was told of " + mine + " ranks, others of " + theirs);
        return refuse(invalidArgument, "others were told of " + std::to_string(told) + " ranks");
    }
    if (shared->members[rank].stage.load() != Stage::absent) {
        announce(invalidUsage, "there are two ranks " + std::to_string(rank));
        return refuse(invalidUsage, "another has this number");
    }
    if (lockByte(file, F_OFD_SETLK, rank, F_WRLCK) == -1) return refuse(systemError, "no lock of its own");
    shared->members[rank].stage = Stage::joined;
    process = getpid();
    const Member* members = shared->members;
    if (std::all_of(members, members + ranks, [](auto& m) { return m.stage.load() != Stage::absent; })) unlink(path.c_str());
    return success;
}

void Communicator::forget() {
    if (shared) munmap(shared, mapped);
    if (file >= 0) close(file);  // and its locks
    shared = nullptr;
    file = -1;
}

void Communicator::leave(Stage stage) {
    if (stage == Stage::aborted) isAborted = true;
    launches.clear();
    if (!shared) return;
    lockByte(file, F_OFD_SETLKW, entrance, F_WRLCK);
    shared->members[rank].stage = stage;
    bool isAwaited = false, isNeeded = false;
    for (int other = 0; other < ranks; other++) {
        const Stage theirs = shared->members[other].stage;
        isAwaited |= theirs == Stage::absent;
        isNeeded |= theirs == Stage::joined && !hasDied(other);
    }
    if (isAwaited && !isNeeded) unlink(path.c_str());
    forget();
}

// MARK: Errors

// With the entrance locked.
void Communicator::announce(int result, const std::string& why) {
    if (shared->error) return;
    snprintf(shared->text, sizeof shared->text, "%s", why.c_str());
    shared->error = result;
}

void Communicator::failAll(int result, const std::string& why) {
    lockByte(file, F_OFD_SETLKW, entrance, F_WRLCK);
    announce(result, why);
    lockByte(file, F_OFD_SETLK, entrance, F_UNLCK);
}

int Communicator::check() {
    if (error || !shared) return error;
    const auto fail = [&](int result, const std::string& why) {
        return error = driver::refuse(result, "NCCL, rank " + std::to_string(rank) + " of " + std::to_string(ranks) + ": " + why);
    };
    if (const int result = shared->error) return fail(result, shared->text);
    bool isComplete = true;
    for (int other = 0; other < ranks; other++) {
        const Member& member = shared->members[other];
        const Stage stage = member.stage;
        const std::string name = "rank " + std::to_string(other);
        if (stage == Stage::aborted) return fail(remoteError, name + " has aborted");
        // What it has written can be read even after it has left.
        if (stage == Stage::left && member.written < step) return fail(remoteError, name + " has left before sum " + std::to_string(sums));
        if (hasDied(other)) return fail(remoteError, "the process of " + name + " has ended");
        isComplete &= stage != Stage::absent;
    }
    return isComplete ? int(success) : int(inProgress);
}

}  // namespace nccl
