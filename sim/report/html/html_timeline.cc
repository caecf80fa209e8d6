// The timeline of a page: the whole step as density, and below it single kernels, which the script
// of html_style.h draws from numbers in the page.

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "sim/base/format.h"
#include "sim/base/index.h"
#include "sim/report/html/html_charts.h"
#include "sim/report/html/html_parts.h"
#include "sim/report/html/svg.h"
#include "sim/report/html/timeline.h"
#include "sim/simulate/names.h"

namespace meshstep {
namespace {

using Kind = TimelineLane::Kind;

constexpr std::size_t kMaxUnits = 128;      // of more, one of each stage is drawn
constexpr std::size_t kNamedUnits = 8;      // of more, only lanes of compute have names
constexpr std::size_t kLabelled = 16;       // of more, the whole step names every fourth
constexpr std::size_t kUnrolled = 40;       // lanes; more scroll
constexpr std::int64_t kMaxSlices = 20000;  // about 300 kB of page
constexpr int kOverview = 360;              // columns of the whole step
constexpr int kColumns = 480;               // of each lane where kernels are not in the page
constexpr int kLevels = 12;                 // shades of a lane in use, besides none

// Whether the devices of its stage are not all alike.
bool SharesStage(const StepGraph& step, const UnitInfo& unit) {
  return std::ranges::count(step.units, unit.stage, &UnitInfo::stage) > 1;
}

std::string LabelOf(const StepGraph& step, std::int32_t unit) {
  const UnitInfo& info = step.units[Index(unit)];
  if (step.units.size() == 1) return "";
  return SharesStage(step, info) ? absl::StrCat("device ", info.device)
                                 : absl::StrCat("stage ", info.stage);
}

std::string StyleOf(Kind kind) {
  return kind == Kind::kCompute ? "use" : kind == Kind::kHost ? "host" : "communication";
}

std::string JsonText(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Rectangles of one height: columns of one shade that follow each other are one.
void DrawShares(const std::vector<double>& share, double y, double height, const std::string& style,
                Svg* svg) {
  const auto level = [&](std::size_t c) {
    return share[c] <= 0 ? 0 : std::max(1, static_cast<int>(std::lround(kLevels * share[c])));
  };
  std::array<std::string, kLevels + 1> paths;
  for (std::size_t c = 0, end = 0; c < share.size(); c = end) {
    const int of = level(c);
    for (end = c; end < share.size() && level(end) == of; ++end) {
    }
    if (of > 0) {
      absl::StrAppend(&paths[Index(of)], "M", c, " ", SvgNumber(y + height / 2), "H", end);
    }
  }
  for (int l = 1; l <= kLevels; ++l) {
    if (paths[Index(l)].empty()) continue;
    svg->Path(paths[Index(l)], absl::StrCat("run ", style, " l", l, " h", SvgNumber(height)));
  }
}

class Timeline {
 public:
  Timeline(const StepGraph& step, const Run& run, std::int32_t unit)
      : step_(step),
        run_(run),
        units_(UnitsToDraw(step, run, kMaxUnits)),
        lanes_(TimelineLanes(step, run, units_)) {
    const auto of_unit = [&](const TimelineLane& lane) {
      return lane.kind == Kind::kCompute && lane.unit == unit;
    };
    auto opening = std::ranges::find_if(lanes_, of_unit);
    if (opening == lanes_.end()) opening = lanes_.begin();
    if (!lanes_.empty()) windows_ = SteadyWindows(step, run, *opening);
    ranges_ = KernelRanges(run, lanes_, windows_, kMaxSlices);
  }

  std::string Overview() const;
  std::string Detail() const;
  std::string About() const;
  bool scrolls() const { return lanes_.size() > kUnrolled; }

 private:
  std::string Data() const;
  std::string LaneData(const TimelineLane& lane, std::map<std::string, int>* names) const;
  std::string NameOfTask(TaskId t) const;
  Time SlowedBy(TaskId t) const;
  // The same in nanoseconds; 0 if it is under 1 % of the `length` of its slice.
  std::string Slowed(TaskId t, std::int64_t length) const {
    const std::int64_t ns = SlowedBy(t).ps() / 1000;
    return 100 * ns < length ? "0" : absl::StrCat(ns);
  }

  const StepGraph& step_;
  const Run& run_;
  std::vector<std::int32_t> units_;
  std::vector<TimelineLane> lanes_;
  std::vector<TimelineWindow> windows_;
  std::vector<TimeRange> ranges_;
};

// One row per unit: above compute, below whether anything is being moved.
std::string Timeline::Overview() const {
  const bool many = units_.size() > kLabelled;
  const double thick = many ? 6 : 14, thin = many ? 3 : 5;
  std::size_t row = 0;
  std::string out = "<div class=\"lanes over\"><div class=\"brush\"></div>";
  for (const std::int32_t unit : units_) {
    std::vector<const TimelineLane*> compute, moving;
    for (const TimelineLane& lane : lanes_) {
      if (lane.unit != unit || lane.kind == Kind::kHost) continue;
      (lane.kind == Kind::kCompute ? compute : moving).push_back(&lane);
    }
    const std::string label = LabelOf(step_, unit);
    const auto mean = [](const std::vector<double>& share) {
      double sum = 0;
      for (const double s : share) sum += s;
      return FormatPercent(sum / static_cast<double>(share.size()));
    };
    const std::vector<double> busy = ShareInUse(run_, compute, kOverview),
                              moved = ShareInUse(run_, moving, kOverview);
    const std::string tip = absl::StrCat(label, label.empty() ? "" : ": ", "compute ", mean(busy),
                                         " of the step, communication in flight ", mean(moved));
    Svg svg(kOverview, thick + thin + 1, tip, /*stretched=*/true);
    svg.Rect(0, 0, kOverview, thick, "idle", tip);
    svg.Rect(0, thick + 1, kOverview, thin, "idle", tip);
    DrawShares(busy, 0, thick, "use", &svg);
    DrawShares(moved, thick + 1, thin, "communication", &svg);
    // Rows of many units are lower than a line of text.
    const bool said = !many || row++ % 4 == 0;
    absl::StrAppend(&out, "<span>", said ? EscapeHtml(label) : "", "</span>", svg.Take());
  }
  return absl::StrCat(out, "</div>\n<div class=\"ends\"><span>0 s</span><span>",
                      FormatSeconds(run_.makespan.seconds()), "</span></div>\n");
}

std::string Timeline::NameOfTask(TaskId t) const {
  const TaskInfo& info = step_.tasks[Index(t)];
  if (info.transfer < 0) return *info.name;
  const StepTransfer& transfer = step_.transfers[Index(info.transfer)];
  return absl::StrCat(std::string(NameOf(transfer.spec.collective)), " of ", *info.name, " over ",
                      absl::StrJoin(transfer.axes, "+"));
}

// How much longer it takes beside others than by itself: a kernel while collectives hold compute
// units, a transfer whose links others use.
Time Timeline::SlowedBy(TaskId t) const {
  const TaskGraph& graph = step_.graph;
  const Time length = run_.end[Index(t)] - run_.start[Index(t)];
  if (graph.pattern(t) == kTimed) return length - std::min(length, graph.duration(t));
  double alone = 0;  // seconds
  for (const Phase& phase : graph.phases(graph.pattern(t))) {
    double drain = 0;
    for (const FlowDemand& d : phase.demands) {
      drain = std::max(drain, d.bytes / graph.links()[Index(d.link)].value());
    }
    alone += phase.latency.seconds() + drain;
  }
  return length - std::min(length, Time::RoundUp(Seconds(alone)));
}

// Runs of one layer, micro-batch and pass: [layer, micro-batch, pass, [gap, length, name, slowed,
// ...]] in nanoseconds, each slice from the end of the one before.
std::string Timeline::LaneData(const TimelineLane& lane, std::map<std::string, int>* names) const {
  std::string out;
  std::int64_t at = 0;
  const TaskInfo* last = nullptr;
  for (const TaskId t : lane.tasks) {
    const Time start = run_.start[Index(t)], end = run_.end[Index(t)];
    const auto inside = [&](const TimeRange& r) { return start < r.end && end > r.begin; };
    if (std::ranges::none_of(ranges_, inside)) continue;
    const TaskInfo& info = step_.tasks[Index(t)];
    const bool same = last != nullptr && last->layer == info.layer && last->pass == info.pass &&
                      last->micro_batch == info.micro_batch;
    if (!same) {
      const std::string layer = info.layer.kind == LayerRef::Kind::kLayer
                                    ? absl::StrCat(info.layer.index)
                                    : JsonText(NameOf(info.layer));
      absl::StrAppend(&out, last == nullptr ? "" : "]],", "[", layer, ",",
                      info.pass == Pass::kUpdate ? -1 : info.micro_batch, ",",
                      static_cast<int>(info.pass), ",[");
    }
    const std::int64_t from = start.ps() / 1000, to = std::max(from + 1, end.ps() / 1000);
    const int name =
        names->try_emplace(NameOfTask(t), static_cast<int>(names->size())).first->second;
    absl::StrAppend(&out, same ? "," : "", from - at, ",", to - from, ",", name, ",",
                    Slowed(t, to - from));
    at = to;
    last = &info;
  }
  return last == nullptr ? out : out + "]]";
}

std::string Timeline::Data() const {
  std::map<std::string, int> names;
  std::string lanes;
  for (const TimelineLane& lane : lanes_) {
    const TimelineLane* const one[] = {&lane};
    std::string shares;  // a letter a column: 0 to 9, a to z
    for (const double s : ShareInUse(run_, one, kColumns)) {
      const int digit = s <= 0 ? 0 : std::max(1, static_cast<int>(std::lround(35 * s)));
      shares.push_back(static_cast<char>(digit < 10 ? '0' + digit : 'a' + digit - 10));
    }
    absl::StrAppend(&lanes, lanes.empty() ? "" : ",", "{\"d\":\"", shares, "\",\"g\":[",
                    LaneData(lane, &names), "]}");
  }
  std::vector<std::string> in_order(names.size());
  for (const auto& [name, at] : names) in_order[Index(at)] = JsonText(name);
  std::string passes, ranges;
  for (const Pass pass :
       {Pass::kForward, Pass::kRecompute, Pass::kBackward, Pass::kWeightGradients, Pass::kUpdate}) {
    absl::StrAppend(&passes, passes.empty() ? "" : ",", "\"", std::string(NameOf(pass)), "\"");
  }
  for (const TimeRange& r : ranges_) {
    absl::StrAppend(&ranges, ranges.empty() ? "" : ",", "[", r.begin.ps() / 1000, ",",
                    r.end.ps() / 1000, "]");
  }
  return absl::StrCat("{\"end\":", std::max<std::int64_t>(1, run_.makespan.ps() / 1000),
                      ",\"passes\":[", passes, "],\"ranges\":[", ranges, "],\"names\":[",
                      absl::StrJoin(in_order, ","), "],\"lanes\":[", lanes, "]}");
}

std::string Timeline::Detail() const {
  std::string out = "<div class=\"tl\" tabindex=\"0\">\n<div class=\"buttons\">";
  const auto button = [&](const std::string& text, Time begin, Time end) {
    absl::StrAppend(&out, "<button data-w=\"", begin.ps() / 1000, " ", end.ps() / 1000, "\">", text,
                    "</button>");
  };
  for (const TimelineWindow& w : windows_) button(w.name, w.begin, w.end);
  button("whole step", Time(), run_.makespan);
  out +=
      "<span><button data-z=\"2\" aria-label=\"zoom out\">−</button>"
      "<button data-z=\"0.5\" aria-label=\"zoom in\">+</button></span></div>\n";
  const bool named = units_.size() <= kNamedUnits;
  absl::StrAppend(&out, "<div class=\"lanes", named ? " named" : "", scrolls() ? " many" : "",
                  "\"><div class=\"ticks\"></div>");
  std::int32_t unit = -1;
  for (const TimelineLane& lane : lanes_) {
    const bool compute = lane.kind == Kind::kCompute;
    const bool first = std::exchange(unit, lane.unit) != lane.unit;
    const std::string of_unit = LabelOf(step_, lane.unit);
    const std::string label = named ? absl::StrCat(of_unit, of_unit.empty() ? "" : ": ", lane.name)
                              : first ? of_unit
                                      : "";
    absl::StrAppend(
        &out, "<span>", EscapeHtml(label), "</span><svg class=\"lane ", StyleOf(lane.kind),
        compute ? " tall"
        : named ? ""
                : " flat",
        "\" data-of=\"", EscapeHtml(absl::StrCat(of_unit, of_unit.empty() ? "" : ": ", lane.name)),
        "\"></svg>");
  }
  absl::StrAppend(&out, "</div>\n<div class=\"scale\"></div>\n<pre hidden>", EscapeHtml(Data()),
                  "</pre>\n<noscript>Single kernels are drawn by the script of this page."
                  "</noscript></div>\n");
  return out;
}

std::string Timeline::About() const {
  std::string out = step_.units.size() == 1 ? "The whole step, of one device; all behave alike."
                                            : "The whole step, a device of each kind.";
  if (units_.size() < step_.units.size()) {
    out = absl::StrCat("The whole step, of each stage the device that ends last, of ",
                       FormatCount(static_cast<std::int64_t>(step_.units.size())), " in all.");
  }
  return out +
         " The stronger the colour of a column, the larger the share of its time in use: above "
         "compute, "
         "below communication in flight.";
}

}  // namespace

std::string TimelineChart(const StepGraph& step, const Run& run, std::int32_t unit) {
  const Timeline timeline(step, run, unit);
  return absl::StrCat(
      "<div>\n", Say(timeline.About()), timeline.Overview(),
      Say(absl::StrCat(
          "Kernels and collectives of the part that is framed above. Drag to move; zoom with a "
          "button, with + and −, or with the wheel while Ctrl is held. What is narrower than three "
          "pixels is shown as density.",
          timeline.scrolls() ? " The other stages are below: scroll." : "")),
      timeline.Detail(), "</div>\n");
}

}  // namespace meshstep
