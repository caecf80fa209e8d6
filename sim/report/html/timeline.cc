#include "sim/report/html/timeline.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "sim/base/index.h"

namespace meshstep {
namespace {

// More kernels than this in one micro-batch are too narrow to be pointed at on a screen.
constexpr std::ptrdiff_t kPointable = 160;

// Layers and micro-batches about as wide as a column would beat against the columns: shares are
// sampled finer, and averaged twice over this many columns.
constexpr int kFilter = 3;

using Kind = TimelineLane::Kind;

std::int32_t RankOf(Kind kind) { return static_cast<std::int32_t>(kind); }

// Slices that any lane has between `begin` and `end`.
std::int64_t SlicesWithin(const Run& run, std::span<const TimelineLane> lanes, Time begin,
                          Time end) {
  std::int64_t count = 0;
  for (const TimelineLane& lane : lanes) {
    const auto from = std::ranges::partition_point(
        lane.tasks, [&](TaskId t) { return run.end[Index(t)] <= begin; });
    const auto to = std::ranges::partition_point(
        lane.tasks, [&](TaskId t) { return run.start[Index(t)] < end; });
    count += std::max<std::int64_t>(0, to - from);
  }
  return count;
}

// The range that grows `range` on both sides, within the step, until it holds `most` slices.
TimeRange Grown(const Run& run, std::span<const TimelineLane> lanes, TimeRange range,
                std::int64_t most) {
  const auto by = [&](std::int64_t ps) {
    return TimeRange{Time(std::max<std::int64_t>(0, range.begin.ps() - ps)),
                     Time(std::min(run.makespan.ps(), range.end.ps() + ps))};
  };
  std::int64_t low = 0, high = run.makespan.ps();
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    const TimeRange grown = by(middle);
    if (SlicesWithin(run, lanes, grown.begin, grown.end) <= most) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return by(low);
}

// First starts of the layers that `matches` picks, in order of time, and where the last one ends.
struct LayerStarts {
  std::vector<Time> starts;
  Time end;
};

template <class Matches>
LayerStarts StartsOfLayers(const StepGraph& step, const Run& run, const TimelineLane& compute,
                           Matches matches) {
  LayerStarts result;
  LayerRef last;
  for (const TaskId t : compute.tasks) {
    const TaskInfo& info = step.tasks[Index(t)];
    if (info.layer.kind != LayerRef::Kind::kLayer || !matches(info)) continue;
    if (info.layer != last) result.starts.push_back(run.start[Index(t)]);
    last = info.layer;
    result.end = run.end[Index(t)];
  }
  return result;
}

template <class Matches>
void AddLayer(const StepGraph& step, const Run& run, const TimelineLane& compute,
              const std::string& name, Matches matches, std::vector<TimelineWindow>* out) {
  const LayerStarts layers = StartsOfLayers(step, run, compute, matches);
  if (layers.starts.empty()) return;
  const std::size_t middle = layers.starts.size() / 2;
  const Time end = middle + 1 < layers.starts.size() ? layers.starts[middle + 1] : layers.end;
  if (layers.starts[middle] < end) out->push_back({name, layers.starts[middle], end});
}

bool IsForward(const TaskInfo& info) { return info.pass == Pass::kForward; }

bool IsBackward(const TaskInfo& info) {
  return info.pass == Pass::kBackward || info.pass == Pass::kRecompute;
}

// Between two first forwards of micro-batches: the one in the middle, in order of time, and the next.
TimelineWindow MiddleMicroBatch(const StepGraph& step, const Run& run,
                                const TimelineLane& compute) {
  std::map<std::int32_t, Time> first;
  Time end;
  for (const TaskId t : compute.tasks) {
    const TaskInfo& info = step.tasks[Index(t)];
    if (info.pass == Pass::kUpdate) continue;
    end = run.end[Index(t)];
    if (IsForward(info)) first.try_emplace(info.micro_batch, run.start[Index(t)]);
  }
  std::vector<Time> starts;
  for (const auto& [micro_batch, start] : first) starts.push_back(start);
  if (starts.empty()) return {};
  std::ranges::sort(starts);
  const std::size_t middle = starts.size() / 2;
  return {"one micro-batch", starts[middle], middle + 1 < starts.size() ? starts[middle + 1] : end};
}

// Kernels of one micro-batch that go one way and follow each other.
struct PassRun {
  Time start;
  std::int32_t micro_batch;
  bool forward;
};

std::vector<PassRun> PassRuns(const StepGraph& step, const Run& run, const TimelineLane& compute) {
  std::vector<PassRun> runs;
  for (const TaskId t : compute.tasks) {
    const TaskInfo& info = step.tasks[Index(t)];
    if (info.pass == Pass::kUpdate) continue;
    const bool forward = IsForward(info);
    const bool same = !runs.empty() && runs.back().forward == forward &&
                      runs.back().micro_batch == info.micro_batch;
    if (!same) runs.push_back({run.start[Index(t)], info.micro_batch, forward});
  }
  return runs;
}

// A micro-batch comes by more than once on its way forward: a stage of several parts.
bool ComesAgain(const std::vector<PassRun>& runs) {
  std::set<std::int32_t> seen;
  std::int32_t last = -1;
  for (const PassRun& r : runs) {
    if (!r.forward || r.micro_batch == last) continue;
    if (!seen.insert(r.micro_batch).second) return true;
    last = r.micro_batch;
  }
  return false;
}

// From the middle forward that a backward follows to the next forward; where none is followed by one,
// the middle backward.
TimelineWindow MiddlePeriod(const std::vector<PassRun>& runs) {
  std::vector<TimelineWindow> pairs, backwards;
  for (std::size_t i = 0; i + 1 < runs.size(); ++i) {
    if (!runs[i].forward) {
      backwards.push_back({"one backward", runs[i].start, runs[i + 1].start});
    } else if (!runs[i + 1].forward) {
      const auto next = std::find_if(runs.begin() + static_cast<std::ptrdiff_t>(i) + 1, runs.end(),
                                     [](const PassRun& r) { return r.forward; });
      if (next == runs.end()) continue;
      pairs.push_back({"one forward and backward", runs[i].start, next->start});
    }
  }
  const std::vector<TimelineWindow>& of = pairs.empty() ? backwards : pairs;
  return of.empty() ? TimelineWindow{} : of[of.size() / 2];
}

// Share in use of each column, unfiltered.
std::vector<double> Sampled(const Run& run, std::span<const TimelineLane* const> lanes,
                            int columns) {
  std::vector<double> share(Index(columns), 0);
  if (run.makespan <= Time()) return share;
  std::vector<std::pair<Time, Time>> busy;
  for (const TimelineLane* lane : lanes) {
    for (const TaskId t : lane->tasks) busy.emplace_back(run.start[Index(t)], run.end[Index(t)]);
  }
  if (lanes.size() > 1) std::ranges::sort(busy);
  const double scale = columns / static_cast<double>(run.makespan.ps());
  Time until;
  for (const auto& [start, end] : busy) {
    double from = static_cast<double>(std::max(start, until).ps()) * scale;
    const double to = static_cast<double>(end.ps()) * scale;
    until = std::max(until, end);
    for (int c = static_cast<int>(from); from < to && c < columns; ++c) {
      const double edge = std::min(to, c + 1.0);
      share[Index(c)] += std::max(0.0, edge - from);
      from = edge;
    }
  }
  return share;
}

// The mean over `reach` columns on either side, fewer at the ends.
std::vector<double> Averaged(const std::vector<double>& share, int reach) {
  std::vector<double> sums(share.size() + 1, 0), result(share.size());
  for (std::size_t i = 0; i < share.size(); ++i) sums[i + 1] = sums[i] + share[i];
  for (std::size_t i = 0; i < share.size(); ++i) {
    const std::size_t from = i < Index(reach) ? 0 : i - Index(reach);
    const std::size_t to = std::min(share.size(), i + Index(reach) + 1);
    result[i] = (sums[to] - sums[from]) / static_cast<double>(to - from);
  }
  return result;
}

}  // namespace

std::vector<TimelineLane> TimelineLanes(const StepGraph& step, const Run& run,
                                        std::span<const std::int32_t> units) {
  std::vector<TimelineLane> of_stream(step.streams.size());
  std::vector<bool> drawn(step.units.size(), false);
  for (const std::int32_t unit : units) drawn[Index(unit)] = true;
  for (TaskId t = 0; t < step.graph.tasks(); ++t) {
    if (run.start[Index(t)] == run.end[Index(t)]) continue;
    const TaskInfo& info = step.tasks[Index(t)];
    for (const StreamId s : step.graph.members(t)) {
      TimelineLane& lane = of_stream[Index(s)];
      if (!drawn[Index(step.streams[Index(s)].unit)]) continue;
      lane.kind = info.transfer >= 0             ? Kind::kCommunication
                  : info.kind == TaskKind::kHost ? Kind::kHost
                                                 : Kind::kCompute;
      lane.tasks.push_back(t);
    }
  }
  std::vector<TimelineLane> lanes;
  for (std::size_t s = 0; s < of_stream.size(); ++s) {
    TimelineLane& lane = of_stream[s];
    if (lane.tasks.empty()) continue;
    lane.unit = step.streams[s].unit;
    lane.name = step.streams[s].name;
    std::ranges::sort(lane.tasks, {}, [&](TaskId t) { return std::pair(run.start[Index(t)], t); });
    lanes.push_back(std::move(lane));
  }
  std::ranges::stable_sort(
      lanes, {}, [](const TimelineLane& lane) { return std::pair(lane.unit, RankOf(lane.kind)); });
  return lanes;
}

std::vector<std::int32_t> UnitsToDraw(const StepGraph& step, const Run& run, std::size_t most) {
  std::vector<std::int32_t> units;
  if (step.units.size() <= most) {
    for (std::size_t u = 0; u < step.units.size(); ++u) {
      units.push_back(static_cast<std::int32_t>(u));
    }
    return units;
  }
  std::vector<Time> ends(step.units.size());
  for (TaskId t = 0; t < step.graph.tasks(); ++t) {
    for (const StreamId s : step.graph.members(t)) {
      Time& end = ends[Index(step.streams[Index(s)].unit)];
      end = std::max(end, run.end[Index(t)]);
    }
  }
  std::map<int, std::int32_t> of_stage;
  for (std::size_t u = 0; u < step.units.size(); ++u) {
    const auto [it, added] =
        of_stage.try_emplace(step.units[u].stage, static_cast<std::int32_t>(u));
    if (!added && ends[u] > ends[Index(it->second)]) it->second = static_cast<std::int32_t>(u);
  }
  for (const auto& [stage, unit] : of_stage) units.push_back(unit);
  return units;
}

std::vector<double> Smoothed(std::vector<double> samples, int columns) {
  const auto each = static_cast<int>(samples.size()) / columns;
  for (int pass = 0; pass < 2; ++pass) samples = Averaged(samples, each * kFilter / 2);
  std::vector<double> result(Index(columns), 0);
  for (std::size_t i = 0; i < samples.size(); ++i) result[i / Index(each)] += samples[i] / each;
  for (double& s : result) s = std::clamp(s, 0.0, 1.0);
  return result;
}

std::vector<double> ShareInUse(const Run& run, std::span<const TimelineLane* const> lanes,
                               int columns) {
  return Smoothed(Sampled(run, lanes, columns * kSamples), columns);
}

std::vector<TimelineWindow> SteadyWindows(const StepGraph& step, const Run& run,
                                          const TimelineLane& compute) {
  std::vector<TimelineWindow> windows;
  if (compute.tasks.empty()) return windows;
  TimelineWindow middle = MiddleMicroBatch(step, run, compute);
  std::ptrdiff_t kernels = 0;
  std::map<std::int32_t, int> forward, backward;  // kernels of each micro-batch
  const auto count = [&] {
    kernels = 0;
    forward.clear();
    backward.clear();
    for (const TaskId t : compute.tasks) {
      if (run.start[Index(t)] < middle.begin || run.end[Index(t)] > middle.end) continue;
      const TaskInfo& info = step.tasks[Index(t)];
      ++kernels;
      if (IsForward(info)) ++forward[info.micro_batch];
      if (IsBackward(info)) ++backward[info.micro_batch];
    }
  };
  count();
  const std::vector<PassRun> runs = PassRuns(step, run, compute);
  const bool trains = std::ranges::any_of(runs, [](const PassRun& r) { return !r.forward; });
  if (trains && (backward.empty() || ComesAgain(runs))) {
    middle = MiddlePeriod(runs);
    count();
  }
  const auto most = [](const std::map<std::int32_t, int>& of, std::int32_t otherwise) {
    const auto it =
        std::ranges::max_element(of, {}, [](const auto& entry) { return entry.second; });
    return it == of.end() ? otherwise : it->first;
  };
  const std::int32_t forward_of = most(forward, 0), backward_of = most(backward, forward_of);
  AddLayer(
      step, run, compute, "one layer, backward",
      [&](const TaskInfo& i) { return IsBackward(i) && i.micro_batch == backward_of; }, &windows);
  AddLayer(
      step, run, compute, "one layer, forward",
      [&](const TaskInfo& i) { return IsForward(i) && i.micro_batch == forward_of; }, &windows);
  if (middle.begin < middle.end) {
    const auto at = kernels <= kPointable ? windows.begin() : windows.end();
    windows.insert(at, middle);
  }
  return windows;
}

std::vector<TimeRange> KernelRanges(const Run& run, std::span<const TimelineLane> lanes,
                                    std::span<const TimelineWindow> windows, std::int64_t most) {
  if (SlicesWithin(run, lanes, Time(), run.makespan) <= most) return {{Time(), run.makespan}};
  if (windows.empty()) return {};
  TimeRange hull{windows[0].begin, windows[0].end};
  for (const TimelineWindow& w : windows) {
    hull = {std::min(hull.begin, w.begin), std::max(hull.end, w.end)};
  }
  if (SlicesWithin(run, lanes, hull.begin, hull.end) <= most) {
    return {Grown(run, lanes, hull, most)};
  }
  std::vector<TimeRange> ranges;
  for (const TimelineWindow& w : windows) {
    const std::int64_t part = most / 2;
    const Time middle((w.begin.ps() + w.end.ps()) / 2);
    const bool fits = SlicesWithin(run, lanes, w.begin, w.end) <= part;
    ranges.push_back(fits ? Grown(run, lanes, {w.begin, w.end}, part)
                          : Grown(run, lanes, {middle, middle}, part));
    if (ranges.size() == 2) break;
  }
  std::ranges::sort(ranges, {}, &TimeRange::begin);
  if (ranges.size() == 2 && ranges[1].begin <= ranges[0].end) {
    ranges = {{ranges[0].begin, std::max(ranges[0].end, ranges[1].end)}};
  }
  return ranges;
}

}  // namespace meshstep
