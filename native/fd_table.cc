#include "fd_table.h"

#include <errno.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>

namespace sockmux::fd_table {

std::atomic<Entry*> chunks[kChunkCount];

namespace {

std::atomic<uint32_t> last_owner{0};

// Held while another thread touches a descriptor that is not its own (a wakeup is signalled, a
// shared one is duplicated) and while such a descriptor is closed: what is touched must not be
// whatever got the same number.
std::mutex foreign_mutex;

// Chunks are never freed: a reader may hold one, and the table lives as long as the process.
Entry* EntryOf(int fd) {
  if (fd < 0 || fd >= kChunkSize * kChunkCount) return nullptr;
  std::atomic<Entry*>& slot = chunks[fd >> kChunkBits];
  Entry* chunk = slot.load(std::memory_order_acquire);
  if (chunk == nullptr) {
    auto* fresh = static_cast<Entry*>(calloc(kChunkSize, sizeof(Entry)));
    if (fresh == nullptr) return nullptr;
    if (slot.compare_exchange_strong(chunk, fresh, std::memory_order_acq_rel)) {
      chunk = fresh;
    } else {
      free(fresh);
    }
  }
  return &chunk[fd & (kChunkSize - 1)];
}

int32_t NextGeneration(uint64_t word) {
  int32_t generation = entry::Generation(word);
  return generation == entry::kGenerationMax ? 1 : generation + 1;
}

uint64_t Freed(uint64_t word) { return entry::Make(entry::Generation(word), kPlain, 0); }

// EINTR and EINPROGRESS: the descriptor is gone all the same on every system we know, and trying
// again would close somebody else's.
int CloseNumber(int fd) {
  if (close(fd) == 0 || errno == EINTR || errno == EINPROGRESS) return 0;
  return -errno;
}

int CloseEntry(int fd, uint64_t word) {
  Entry* slot = EntryOf(fd);
  std::unique_lock<std::mutex> lock(foreign_mutex, std::defer_lock);
  if ((word & (kWakeup | kShared)) != 0) lock.lock();
  if (!slot->compare_exchange_strong(word, Freed(word), std::memory_order_acq_rel)) return -EBADF;
  return CloseNumber(fd);
}

int CloseOwned(int fd, uint64_t word, int32_t generation) {
  if (generation != 0 && generation != entry::Generation(word)) return -ESTALE;
  return CloseEntry(fd, word);
}

template <class Visit>
int ForEachOwned(uint32_t owner, Visit visit) {
  int count = 0;
  for (int i = 0; i < kChunkCount; ++i) {
    Entry* chunk = chunks[i].load(std::memory_order_acquire);
    if (chunk == nullptr) continue;
    for (int j = 0; j < kChunkSize; ++j) {
      uint64_t word = chunk[j].load(std::memory_order_acquire);
      if (entry::Owner(word) != owner) continue;
      visit((i << kChunkBits) | j, word);
      ++count;
    }
  }
  return count;
}

}  // namespace

uint32_t NewOwner() { return last_owner.fetch_add(1, std::memory_order_relaxed) + 1; }

int32_t Open(int fd, uint32_t owner, Kind kind) {
  Entry* slot = EntryOf(fd);
  if (slot == nullptr) {
    CloseNumber(fd);
    return -EMFILE;
  }
  // An entry that is still owned was closed behind our back: the kernel says that the number is
  // new.
  int32_t generation = NextGeneration(slot->load(std::memory_order_acquire));
  slot->store(entry::Make(generation, kind, owner), std::memory_order_release);
  return generation;
}

int32_t Claim(int fd, uint32_t owner) {
  Entry* slot = EntryOf(fd);
  if (slot == nullptr) return fd < 0 ? -EBADF : -EMFILE;
  uint64_t word = slot->load(std::memory_order_acquire);
  if (entry::Owner(word) != 0) return -EBUSY;
  int32_t generation = NextGeneration(word);
  uint64_t mine = entry::Make(generation, kPlain, owner);
  return slot->compare_exchange_strong(word, mine, std::memory_order_acq_rel) ? generation : -EBUSY;
}

void Disown(int fd, uint32_t owner) {
  uint64_t word = Load(fd);
  if (entry::Owner(word) != owner) return;
  EntryOf(fd)->compare_exchange_strong(word, Freed(word), std::memory_order_acq_rel);
}

int32_t Offer(int fd, uint32_t owner) {
  uint64_t word = Load(fd);
  if (!Owns(fd, owner)) return -EBADF;
  // Whoever wakes or duplicates it by its generation has no say in where it goes.
  if ((word & (kWakeup | kShared)) != 0) return -EINVAL;
  EntryOf(fd)->store(word | kOffered, std::memory_order_release);
  return entry::Generation(word);
}

int32_t TakeOffered(int fd, uint32_t owner, int32_t generation) {
  uint64_t word = Load(fd);
  if ((word & kOffered) == 0 || entry::Generation(word) != generation) return -ESTALE;
  int32_t next = NextGeneration(word);
  uint64_t mine = entry::Make(next, kPlain, owner);
  bool won = EntryOf(fd)->compare_exchange_strong(word, mine, std::memory_order_acq_rel);
  return won ? next : -ESTALE;
}

int32_t Withdraw(int fd, uint32_t owner, int32_t generation) {
  return entry::Owner(Load(fd)) == owner ? TakeOffered(fd, owner, generation) : -ESTALE;
}

int32_t Share(int fd, uint32_t owner) {
  uint64_t word = Load(fd);
  if (!Owns(fd, owner)) return -EBADF;
  EntryOf(fd)->store(word | kShared, std::memory_order_release);
  return entry::Generation(word);
}

int Duplicate(int fd, int32_t generation, int (*duplicate)(int fd)) {
  std::lock_guard<std::mutex> lock(foreign_mutex);
  uint64_t word = Load(fd);
  if ((word & kShared) == 0 || entry::Generation(word) != generation) return -ESTALE;
  return duplicate(fd);
}

int Close(int fd, uint32_t owner, int32_t generation) {
  uint64_t word = Load(fd);
  bool mine = Owns(fd, owner);
  if (mine) return CloseOwned(fd, word, generation);
  // With a generation the caller says which descriptor it means: one that was ours and is no more
  // is stale.
  bool was = generation != 0 && word != 0 && entry::Generation(word) != generation;
  return was ? -ESTALE : -EBADF;
}

int CloseInternal(int fd, uint32_t owner, int32_t generation) {
  uint64_t word = Load(fd);
  if (entry::Owner(word) != owner || (word & kInternal) == 0) return -EBADF;
  return CloseOwned(fd, word, generation);
}

int Wake(int fd, int32_t generation, int (*signal)(int fd)) {
  std::lock_guard<std::mutex> lock(foreign_mutex);
  uint64_t word = Load(fd);
  if (entry::Owner(word) == 0 || entry::Generation(word) != generation) return -ESTALE;
  return (word & kWakeup) == 0 ? -EINVAL : signal(fd);
}

int CloseAll(uint32_t owner) {
  return ForEachOwned(owner, [](int fd, uint64_t word) { CloseEntry(fd, word); });
}

int Count(uint32_t owner) {
  return ForEachOwned(owner, [](int, uint64_t) {});
}

}  // namespace sockmux::fd_table
