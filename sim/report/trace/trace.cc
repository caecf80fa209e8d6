#include "sim/report/trace/trace.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/format.h"
#include "sim/base/index.h"
#include "sim/simulate/link_usage.h"
#include "sim/simulate/memory.h"
#include "sim/simulate/names.h"

namespace meshstep {
namespace {

bool EndsWith(const std::string& text, std::string_view ending) {
  return text.size() >= ending.size() &&
         text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

// A slice begins or ends. Order: by time; at one instant first the ends of what began earlier, then
// by task, member and begin before end, so that a task without duration opens and closes.
struct Edge {
  Time time;
  bool later;  // not the end of a slice that began before `time`
  TaskId task;
  std::int32_t member;
  bool end;
  auto operator<=>(const Edge&) const = default;
};

class Tracer {
 public:
  Tracer(const Scenario& scenario, const StepGraph& step, const Run& run, const TraceWindow& window,
         TraceFormat* out)
      : scenario_(scenario), step_(step), run_(run), window_(window), out_(*out) {}

  void Write() {
    Declare();
    Slices();
    MemoryCounters();
    LinkCounters();
    out_.Finish();
  }

 private:
  // Tracks: streams first, then counters.
  static int TrackOf(StreamId stream) { return stream + 1; }
  int NewTrack() { return ++last_track_; }
  int NetworkProcess() const { return static_cast<int>(step_.units.size()) + 1; }

  bool IsDrawn(int unit) const { return window_.HasStage(step_.units[Index(unit)].stage); }
  bool IsDrawnStream(StreamId s) const { return IsDrawn(step_.streams[Index(s)].unit); }
  TraceSlice::Flow FlowOf(std::span<const StreamId> members, std::int32_t member) const;

  void Declare();
  void Slices();
  // Points of a curve, in order of time, within the window; the value that holds at its begin is one.
  template <class Points, class ValueOf>
  void Curve(int track, const Points& points, ValueOf value_of);
  void Begin(const Edge& edge);
  void KernelArguments(TaskId task, Time length);
  void TransferArguments(const TaskInfo& info, Time length);
  void MemoryCounters();
  void LinkCounters();

  const Scenario& scenario_;
  const StepGraph& step_;
  const Run& run_;
  const TraceWindow& window_;
  TraceFormat& out_;
  int last_track_ = 0;
  std::vector<TraceArgument> arguments_;
  std::vector<std::string> axes_;  // per transfer: "fsdp", "data+fsdp"
  std::vector<double> bus_;        // per transfer: bytes that count for its bus bandwidth
};

void Tracer::Declare() {
  for (std::size_t u = 0; u < step_.units.size(); ++u) {
    if (!IsDrawn(static_cast<int>(u))) continue;
    const UnitInfo& unit = step_.units[u];
    std::string name = absl::StrCat("stage ", unit.stage, ", device ", unit.device);
    if (unit.devices > 1) absl::StrAppend(&name, " × ", FormatCount(unit.devices), " alike");
    out_.Process(static_cast<int>(u) + 1, name);
  }
  for (StreamId s = 0; s < step_.graph.streams(); ++s) {
    const StreamInfo& stream = step_.streams[Index(s)];
    if (!IsDrawn(stream.unit)) continue;
    out_.Thread(TrackOf(s), stream.unit + 1, stream.name);
  }
  last_track_ = step_.graph.streams();
  for (const StepTransfer& transfer : step_.transfers) {
    axes_.push_back(absl::StrJoin(transfer.axes, "+"));
    double ranks = 1;
    for (const AxisId axis : transfer.spec.axes) ranks *= scenario_.plan.axis_size(axis);
    bus_.push_back(transfer.spec.bytes.value() * BusFactor(transfer.spec.collective, ranks));
  }
}

void Tracer::Slices() {
  std::vector<Edge> edges;
  for (TaskId t = 0; t < step_.graph.tasks(); ++t) {
    const Time start = run_.start[Index(t)], end = run_.end[Index(t)];
    if (!window_.HasTask(step_.tasks[Index(t)], start, end)) continue;
    const std::span<const StreamId> members = step_.graph.members(t);
    for (std::int32_t m = 0; m < static_cast<std::int32_t>(members.size()); ++m) {
      if (!IsDrawnStream(members[Index(m)])) continue;
      edges.push_back({start, true, t, m, false});
      edges.push_back({end, start == end, t, m, true});
    }
  }
  std::sort(edges.begin(), edges.end());
  for (const Edge& edge : edges) {
    if (edge.end) {
      out_.End(TrackOf(step_.graph.members(edge.task)[Index(edge.member)]), edge.time);
    } else {
      Begin(edge);
    }
  }
}

void Tracer::Begin(const Edge& edge) {
  const TaskInfo& info = step_.tasks[Index(edge.task)];
  const Time end = run_.end[Index(edge.task)];
  const std::span<const StreamId> members = step_.graph.members(edge.task);
  arguments_.clear();
  arguments_.push_back({"duration_ps", (end - edge.time).ps()});
  if (info.layer.kind == LayerRef::Kind::kLayer) {
    arguments_.push_back({"layer", static_cast<std::int64_t>(info.layer.index)});
  } else if (info.layer != LayerRef()) {
    arguments_.push_back({"layer", NameOf(info.layer.kind)});
  }
  if (info.pass != Pass::kUpdate) {
    arguments_.push_back({"micro_batch", static_cast<std::int64_t>(info.micro_batch)});
  }
  TraceSlice slice;
  if (info.transfer < 0) {
    KernelArguments(edge.task, end - edge.time);
  } else {
    TransferArguments(info, end - edge.time);
    slice.flow = FlowOf(members, edge.member);
    if (slice.flow != TraceSlice::Flow::kNone) slice.flow_id = std::int64_t{edge.task} + 1;
  }
  slice.name = *info.name;
  slice.category = NameOf(info.pass);
  slice.arguments = arguments_;
  out_.Begin(TrackOf(members[Index(edge.member)]), edge.time, end, slice);
}

// From the first member that is drawn through to the last; one alone has nothing to point to.
TraceSlice::Flow Tracer::FlowOf(std::span<const StreamId> members, std::int32_t member) const {
  const auto drawn = [this](StreamId s) { return IsDrawnStream(s); };
  const bool before = std::ranges::any_of(members.first(Index(member)), drawn);
  const bool after = std::ranges::any_of(members.subspan(Index(member) + 1), drawn);
  return before && after ? TraceSlice::Flow::kStep
         : before        ? TraceSlice::Flow::kEnd
         : after         ? TraceSlice::Flow::kStart
                         : TraceSlice::Flow::kNone;
}

template <class Points, class ValueOf>
void Tracer::Curve(int track, const Points& points, ValueOf value_of) {
  std::optional<double> last;
  for (std::size_t i = 0; i < points.size() && points[i].time < window_.end; ++i) {
    if (i + 1 < points.size() && points[i + 1].time <= window_.begin) continue;
    const double value = value_of(points[i]);
    if (last == value) continue;
    last = value;
    out_.Value(track, std::max(points[i].time, window_.begin), value);
  }
}

void Tracer::KernelArguments(TaskId task, Time length) {
  const TaskInfo& info = step_.tasks[Index(task)];
  const double seconds = length.seconds();
  if (const Time alone = step_.graph.duration(task); alone < length) {
    arguments_.push_back({"alone_ps", alone.ps()});
    arguments_.push_back({"slowed_by", "collectives that hold compute units"});
  }
  if (info.flops.value() > 0) {
    arguments_.push_back({"flops", info.flops.value()});
    if (seconds > 0) arguments_.push_back({"flops_per_s", info.flops.value() / seconds});
  }
  if (info.hbm_bytes.value() > 0) {
    arguments_.push_back({"hbm_bytes", info.hbm_bytes.value()});
    if (seconds > 0) arguments_.push_back({"hbm_bytes_per_s", info.hbm_bytes.value() / seconds});
  }
}

void Tracer::TransferArguments(const TaskInfo& info, Time length) {
  const StepTransfer& transfer = step_.transfers[Index(info.transfer)];
  const double seconds = length.seconds();
  arguments_.push_back({"collective", NameOf(transfer.spec.collective)});
  arguments_.push_back({"axes", axes_[Index(info.transfer)]});
  arguments_.push_back({"moves", NameOf(transfer.spec.role)});
  if (!transfer.algorithm.empty()) arguments_.push_back({"algorithm", transfer.algorithm});
  arguments_.push_back({"bytes", transfer.spec.bytes.value()});
  arguments_.push_back({"sent_bytes_per_device", transfer.sent_bytes_per_device});
  if (seconds > 0) {
    arguments_.push_back({"busbw_bytes_per_s", bus_[Index(info.transfer)] / seconds});
  }
}

void Tracer::MemoryCounters() {
  constexpr std::size_t kTotal = kMemoryBuckets;
  for (std::size_t u = 0; u < step_.units.size(); ++u) {
    if (!IsDrawn(static_cast<int>(u))) continue;
    std::array<int, kMemoryBuckets + 1> track;
    const int process = static_cast<int>(u) + 1;
    const auto has = [&](std::size_t b) {
      constexpr auto kKvCache = static_cast<std::size_t>(MemoryBucket::kKvCache);
      return b != kKvCache || step_.resident[u][b] > 0;
    };
    for (std::size_t b = 0; b <= kTotal; ++b) {
      if (!has(b)) continue;
      track[b] = NewTrack();
      const std::string what =
          b == kTotal ? "in use" : std::string(NameOf(static_cast<MemoryBucket>(b)));
      out_.Counter(track[b], process, "memory: " + what, "bytes");
    }
    const std::vector<MemoryPoint> curve = MemoryCurve(step_, run_, static_cast<std::int32_t>(u));
    for (std::size_t b = 0; b <= kTotal; ++b) {
      if (!has(b)) continue;
      Curve(track[b], curve, [b](const MemoryPoint& point) {
        return static_cast<double>(b == kTotal ? point.total() : point.bytes[b]);
      });
    }
  }
}

// Links that are used alike all the time share a counter.
void Tracer::LinkCounters() {
  const std::vector<std::vector<LinkPoint>> usage = LinkUsage(step_.graph, run_);
  std::vector<std::size_t> first;   // of each counter
  std::vector<std::int64_t> links;  // that it stands for
  for (std::size_t l = 0; l < usage.size(); ++l) {
    if (usage[l].empty()) continue;
    const auto same =
        std::ranges::find_if(first, [&](std::size_t other) { return usage[other] == usage[l]; });
    const auto at = static_cast<std::size_t>(same - first.begin());
    if (same == first.end()) {
      first.push_back(l);
      links.push_back(0);
    }
    links[at] += step_.links[l].links;
  }
  if (!first.empty()) out_.Process(NetworkProcess(), "network");
  for (std::size_t i = 0; i < first.size(); ++i) {
    std::string name = "link " + step_.links[first[i]].name;
    if (links[i] > step_.links[first[i]].links) {
      absl::StrAppend(&name, ", ", FormatCount(links[i]), " used alike");
    }
    const int track = NewTrack();
    out_.Counter(track, NetworkProcess(), name, "%");
    Curve(track, usage[first[i]], [](const LinkPoint& point) { return 100 * point.fraction; });
  }
}

}  // namespace

Status CheckTracePath(const std::string& path) {
  if (EndsWith(path, ".pftrace") || EndsWith(path, ".perfetto-trace") || EndsWith(path, ".json")) {
    return absl::OkStatus();
  }
  return InvalidInput("--trace: " + path + " must end in .pftrace (Perfetto) or .json (Chrome)");
}

Status WriteTrace(const Scenario& scenario, const StepGraph& step, const Run& run,
                  const TraceWindow& window, const std::string& path) {
  RETURN_IF_ERROR(CheckTracePath(path));
  ASSIGN_OR_RETURN(const std::unique_ptr<OutputFile> file, OutputFile::Open("--trace", path));
  const std::unique_ptr<TraceFormat> format =
      EndsWith(path, ".json") ? MakeChromeTrace(file.get()) : MakePerfettoTrace(file.get());
  Tracer(scenario, step, run, window, format.get()).Write();
  return file->Close();
}

}  // namespace meshstep
