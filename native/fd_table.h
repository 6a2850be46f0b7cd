// Who owns which descriptor, for the whole process: descriptor → {generation, owner}. The only
// place that closes.
//
// An owner is an environment (a thread with its own copy of the addon's exports). Numbers of
// descriptors are reused at once, so every new owner of a number gets a new generation. An entry is
// one atomic word: reading it on the hot path takes no lock, and taking a descriptor over is one
// compare-and-swap. An entry is given up before close(2) is called, because from then on another
// thread may be handed the same number.
#ifndef SOCKMUX_FD_TABLE_H_
#define SOCKMUX_FD_TABLE_H_

#include <atomic>
#include <cstdint>

namespace sockmux::fd_table {

// What a descriptor is to its owner. Internal ones (a poller's) are closed with their owner but no
// verb reaches them; nor those that are offered, until they are claimed or withdrawn. Of a shared
// one other owners may make duplicates.
enum Kind : uint64_t {
  kPlain = 0,
  kInternal = uint64_t{1} << 32,
  kWakeup = uint64_t{1} << 33,
  kOffered = uint64_t{1} << 34,
  kShared = uint64_t{1} << 35,
};

namespace entry {
inline constexpr uint64_t kOwnerMask = 0xffffffff;
inline constexpr int kGenerationShift = 36;
inline constexpr int32_t kGenerationMax =
    0x0fffffff;  // stays a small integer in every JavaScript engine

inline constexpr uint32_t Owner(uint64_t word) { return static_cast<uint32_t>(word & kOwnerMask); }
inline constexpr int32_t Generation(uint64_t word) {
  return static_cast<int32_t>(word >> kGenerationShift);
}
inline constexpr uint64_t Make(int32_t generation, uint64_t kind, uint32_t owner) {
  return (static_cast<uint64_t>(generation) << kGenerationShift) | kind | owner;
}
}  // namespace entry

inline constexpr int kChunkBits = 10;
inline constexpr int kChunkSize = 1 << kChunkBits;
inline constexpr int kChunkCount =
    1 << 14;  // 16 million descriptors; Linux allows 2^20 unless told otherwise

using Entry = std::atomic<uint64_t>;
extern std::atomic<Entry*> chunks[kChunkCount];

// 0 for a descriptor that was never owned.
inline uint64_t Load(int fd) {
  if (fd < 0 || fd >= kChunkSize * kChunkCount) return 0;
  Entry* chunk = chunks[fd >> kChunkBits].load(std::memory_order_acquire);
  return chunk == nullptr ? 0 : chunk[fd & (kChunkSize - 1)].load(std::memory_order_acquire);
}

// A new owner's identity, > 0, never used before in this process.
uint32_t NewOwner();

// True for what a verb may touch.
inline bool Owns(int fd, uint32_t owner) {
  return (Load(fd) & (entry::kOwnerMask | kInternal | kOffered)) == owner;
}

// Enters a descriptor that the kernel just created. Its generation; -EMFILE when there is no room
// (then closed).
int32_t Open(int fd, uint32_t owner, Kind kind);

// Takes a descriptor that nobody owns. Its generation, or -EBUSY when an environment owns it
// already.
int32_t Claim(int fd, uint32_t owner);
// Undoes Claim: the descriptor is nobody's again, and stays open.
void Disown(int fd, uint32_t owner);

// Puts an owned descriptor on its way to another owner: from now on it belongs to whoever claims it
// first. Its generation, which names it until then, or -EBADF. It still goes with its owner when
// that ends.
int32_t Offer(int fd, uint32_t owner);
// Takes an offered descriptor, of whatever owner. Its new generation, or -ESTALE when it is not to
// be had any more.
int32_t TakeOffered(int fd, uint32_t owner, int32_t generation);
// Takes back what was offered. Its new generation, or -ESTALE when somebody was faster.
int32_t Withdraw(int fd, uint32_t owner, int32_t generation);

// Lets every owner duplicate it. Its generation, or -EBADF.
int32_t Share(int fd, uint32_t owner);
// Runs `duplicate(fd)` while a shared descriptor cannot be closed by its owner. -ESTALE when it is
// gone.
int Duplicate(int fd, int32_t generation, int (*duplicate)(int fd));

// Closes. Generation 0 means whatever it is now. -EBADF when not owned (or internal), -ESTALE when
// reused since.
int Close(int fd, uint32_t owner, int32_t generation);
int CloseInternal(int fd, uint32_t owner, int32_t generation);

// Runs `signal(fd)` while the wakeup descriptor cannot be closed by its owner. -ESTALE when it is
// gone.
int Wake(int fd, int32_t generation, int (*signal)(int fd));

// Everything of one owner; how many that were.
int CloseAll(uint32_t owner);
int Count(uint32_t owner);

}  // namespace sockmux::fd_table

#endif  // SOCKMUX_FD_TABLE_H_
