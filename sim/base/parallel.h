// The same work on many things, on several threads.

#ifndef MESHSTEP_SIM_BASE_PARALLEL_H_
#define MESHSTEP_SIM_BASE_PARALLEL_H_

#include <cstddef>
#include <functional>

namespace meshstep {

// `threads`, or as many as the machine has if that is 0.
unsigned ThreadsOf(int threads);

// Calls job(i) once for every i of [0, count), in this order, on ThreadsOf(threads) threads, the
// calling one among them; returns when all are done.
void ParallelFor(std::size_t count, int threads, const std::function<void(std::size_t)>& job);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_PARALLEL_H_
