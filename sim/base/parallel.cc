#include "sim/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace meshstep {

unsigned ThreadsOf(int threads) {
  return threads > 0 ? static_cast<unsigned>(threads)
                     : std::max(1U, std::thread::hardware_concurrency());
}

void ParallelFor(std::size_t count, int threads, const std::function<void(std::size_t)>& job) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) job(i);
  };
  std::vector<std::jthread> workers;
  for (std::size_t t = 1; t < std::min<std::size_t>(ThreadsOf(threads), count); ++t) {
    workers.emplace_back(work);
  }
  work();
}

}  // namespace meshstep
