#include "sim/engine/processors.h"

#include <algorithm>

namespace meshstep {

Processors::Processors(const TaskGraph& graph) {
  ProcessorId count = 0;
  for (StreamId s = 0; s < graph.streams(); ++s) {
    processor_.push_back(graph.processor(s));
    count = std::max(count, graph.processor(s) + 1);
  }
  work_.resize(processor_.size());
  streams_.resize(At(count));
  taken_.assign(At(count), 0);
  is_changed_.assign(At(count), false);
  if (count == 0) return;
  std::vector<bool> timed(processor_.size(), false);
  for (TaskId t = 0; t < graph.tasks(); ++t) {
    if (graph.pattern(t) == kTimed) timed[At(graph.members(t).front())] = true;
  }
  for (StreamId s = 0; s < graph.streams(); ++s) {
    if (timed[At(s)] && Slows(s)) streams_[At(processor_[At(s)])].push_back(s);
  }
}

void Processors::Change(ProcessorId p) {
  if (is_changed_[At(p)]) return;
  is_changed_[At(p)] = true;
  changed_.push_back(p);
}

void Processors::Start(StreamId stream, TaskId task, Time duration, Time now) {
  Work& work = work_[At(stream)];
  work.task = task;
  work.left = static_cast<unsigned long long>(duration.ps());
  work.left *= static_cast<unsigned long long>(kWhole);
  work.rate = 0;
  work.since = now;
  work.end = Time::Max();
  Change(processor_[At(stream)]);
}

bool Processors::Ends(StreamId stream, TaskId task, Time now) {
  Work& work = work_[At(stream)];
  if (work.task != task || work.end != now) return false;
  work.task = -1;
  return true;
}

void Processors::Take(StreamId stream, std::int64_t taken) {
  const ProcessorId p = processor_[At(stream)];
  if (p == kNoProcessor) return;
  taken_[At(p)] += taken;
  Change(p);
}

void Processors::AppendState(TaskId mark, Time now, std::vector<std::int64_t>* numbers) const {
  for (std::size_t s = 0; s < work_.size(); ++s) {
    const Work& work = work_[s];
    if (work.task < 0) continue;
    numbers->insert(numbers->end(), {static_cast<std::int64_t>(s), work.task - mark,
                                     static_cast<std::int64_t>(work.left >> 64),
                                     static_cast<std::int64_t>(work.left), work.rate,
                                     (work.since - now).ps(), (work.end - now).ps()});
  }
}

void Processors::SetRate(Work* work, std::int64_t rate, Time now) {
  const auto per_ps = static_cast<unsigned long long>(rate);
  auto done = work->left;
  done = static_cast<unsigned long long>((now - work->since).ps());
  done *= static_cast<unsigned long long>(work->rate);
  work->left -= std::min(done, work->left);
  work->rate = rate;
  work->since = now;
  auto wait = work->left;
  wait += per_ps - 1;
  // Nearly all fit in 64 bits, whose division is quicker.
  const auto narrow = static_cast<std::uint64_t>(wait);
  if (wait == narrow) {
    wait = rate == kWhole ? narrow / kWhole : narrow / per_ps;
  } else {
    wait /= per_ps;
  }
  const auto longest = static_cast<unsigned long long>(Time::Longest().ps());
  work->end = now + Time(static_cast<std::int64_t>(wait > longest ? longest : wait));
}

}  // namespace meshstep
