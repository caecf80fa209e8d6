#include "strategies/plan/load_layer_ranges.h"

#include <cmath>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "meshstep/v1/plan.pb.h"
#include "sim/base/number.h"
#include "strategies/plan/load_offload.h"
#include "strategies/plan/load_precision.h"
#include "strategies/plan/load_recompute.h"

namespace meshstep {
namespace {

constexpr int kMaxRanges = 64;

using Interval = std::pair<int, int>;  // [first, second)

// "3", "-1" or "85%": where it lies among the layers. A share that starts inside a layer is at its
// start (down) or end.
std::optional<double> Place(std::string_view text, int layers, bool down) {
  const bool percent = text.ends_with('%');
  if (percent) text.remove_suffix(1);
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  std::optional<double> number = ParseNumber(text, {});
  if (!number) return std::nullopt;
  if (negative) *number = -*number;
  if (!percent) {
    if (*number != std::floor(*number)) return std::nullopt;
    return *number < 0 ? layers + *number : *number;
  }
  // What rounding leaves of a whole layer is none.
  const double exact = *number / 100 * layers, whole = std::round(exact);
  if (std::abs(exact - whole) < 1e-9 * layers) return whole;
  return down ? std::floor(exact) : std::ceil(exact);
}

std::optional<Interval> ParsePart(std::string_view text, int layers) {
  const std::size_t dots = text.find("..");
  std::optional<double> begin, end;
  if (dots == std::string_view::npos) {
    if (text.ends_with('%')) return std::nullopt;
    begin = Place(text, layers, true);
    if (begin) end = *begin + 1;
  } else {
    const std::string_view from = text.substr(0, dots), to = text.substr(dots + 2);
    begin = from.empty() ? 0.0 : Place(from, layers, true);
    end = to.empty() ? static_cast<double>(layers) : Place(to, layers, false);
    if (end && !to.empty() && !to.ends_with('%')) *end += 1;
  }
  if (!begin || !end || !(*begin >= 0 && *begin < *end && *end <= layers)) return std::nullopt;
  return Interval{static_cast<int>(*begin), static_cast<int>(*end)};
}

std::vector<Interval> ParseLayers(const std::string& text, int layers, const std::string& field,
                                  Diagnostics* diagnostics) {
  std::vector<Interval> intervals;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(text, ','))) {
    const std::optional<Interval> interval = ParsePart(part, layers);
    if (!interval || intervals.size() == kMaxRanges) {
      diagnostics->Error(field, absl::StrCat("is \"", text.substr(0, 64), "\", expected layers of ",
                                             layers, ", as \"0\", \"0..1,-2..-1\" or \"85%..\""));
      return {};
    }
    intervals.push_back(*interval);
  }
  return intervals;
}

// The settings of a range; begin, end and layers are not set.
LayerRange LoadSettings(const v1::LayerRange& proto, const v1::Plan& plan_proto,
                        const std::string& item, const Chip& chip, const Plan& plan,
                        Diagnostics* diagnostics) {
  LayerRange range;
  v1::Precision precision = plan_proto.precision();
  if (!proto.compute().empty() && proto.compute() != NameOf(plan.precision.compute)) {
    precision.set_compute(proto.compute());
    precision.clear_scaling();
    precision.clear_gather();
  }
  if (!proto.scaling().empty()) precision.set_scaling(proto.scaling());
  range.precision = LoadPrecision(precision, item, chip, diagnostics);
  if (range.precision.activations != plan.precision.activations) {
    diagnostics->Error(
        item + ".compute",
        absl::StrCat("makes activations ", std::string(NameOf(range.precision.activations)),
                     ", but those between layers are ",
                     std::string(NameOf(plan.precision.activations))));
  }
  v1::Plan own;
  const bool recomputes = !proto.recompute().empty();
  own.set_recompute(recomputes ? proto.recompute() : plan_proto.recompute());
  const auto& modules = recomputes ? proto.recompute_modules() : plan_proto.recompute_modules();
  own.mutable_recompute_modules()->CopyFrom(modules);
  own.mutable_recompute_keep()->CopyFrom(recomputes ? proto.recompute_keep()
                                                    : plan_proto.recompute_keep());
  *own.mutable_offload() = proto.has_offload() ? proto.offload() : plan_proto.offload();
  Plan settings;
  LoadRecompute(own, item, &settings, diagnostics);
  LoadOffload(own, item, chip, &settings, diagnostics);
  range.recompute = settings.recompute;
  range.recompute_modules = settings.recompute_modules;
  range.recompute_keep = settings.recompute_keep;
  range.offload = settings.offload;
  if (!recomputes && (!proto.recompute_modules().empty() || !proto.recompute_keep().empty())) {
    diagnostics->Error(item + ".recompute", "is missing beside what belongs to it");
  }
  return range;
}

}  // namespace

void LoadLayerRanges(const v1::Plan& proto, const std::string& field, int layers, const Chip& chip,
                     Plan* plan, Diagnostics* diagnostics) {
  if (proto.layer_ranges_size() > kMaxRanges) {
    diagnostics->Error(
        field + ".layer_ranges",
        absl::StrCat("has ", proto.layer_ranges_size(), " ranges, expected at most ", kMaxRanges));
    return;
  }
  for (int i = 0; i < proto.layer_ranges_size(); ++i) {
    const std::string item = absl::StrCat(field, ".layer_ranges[", i, "]");
    const v1::LayerRange& range = proto.layer_ranges(i);
    LayerRange settings = LoadSettings(range, proto, item, chip, *plan, diagnostics);
    for (const auto& [begin, end] :
         ParseLayers(range.layers(), layers, item + ".layers", diagnostics)) {
      settings.begin = begin;
      settings.end = end;
      plan->layer_ranges.push_back(settings);
    }
  }
}

}  // namespace meshstep
