#include "topologies/load_power.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "meshstep/v1/chip.pb.h"
#include "topologies/field_checks.h"

namespace meshstep {
namespace {

constexpr double kMostWatts = 1e5;
constexpr double kLeastRate = 1e-6, kMostRate = 2;

bool IsPower(double watts) { return watts >= 1 && watts <= kMostWatts; }

void Slow(double rate, double* fraction) { *fraction = std::clamp(*fraction * rate, 1e-6, 1.0); }

void SlowAttention(double rate, ComputeCalibration* calibration) {
  for (AttentionCalibration& point : calibration->attention) Slow(rate, &point.peak_fraction);
  for (auto& [kernel, points] : calibration->attention_by_kernel) {
    for (AttentionCalibration& point : points) Slow(rate, &point.peak_fraction);
  }
  for (auto& [kernel, blocks] : calibration->blocks_by_kernel) Slow(rate, &blocks.matmul_fraction);
  if (calibration->attention_blocks) Slow(rate, &calibration->attention_blocks->matmul_fraction);
}

}  // namespace

void LoadPower(const v1::Chip& proto, const std::string& field, Diagnostics* diagnostics,
               Chip* chip) {
  if (proto.has_power_watts()) {
    chip->power_watts = proto.power_watts();
    if (!IsPower(chip->power_watts)) {
      diagnostics->Error(field + ".power_watts",
                         absl::StrCat("is ", chip->power_watts, ", expected 1 to 1e5"));
      chip->power_watts = 0;
    }
  }
  double below = 0;
  for (int i = 0; i < proto.power_curve_size(); ++i) {
    const v1::PowerPoint& point = proto.power_curve(i);
    const std::string item = absl::StrCat(field, ".power_curve[", i, "]");
    if (!IsPower(point.watts()) || point.watts() <= below) {
      diagnostics->Error(item + ".watts", absl::StrCat("is ", point.watts(), ", expected above ",
                                                       below, ", at most 1e5"));
    }
    if (!(point.rate() >= kLeastRate && point.rate() <= kMostRate)) {
      diagnostics->Error(item + ".rate", absl::StrCat("is ", point.rate(), ", expected 1e-6 to 2"));
      continue;
    }
    below = point.watts();
    chip->power_curve.push_back({point.watts(), point.rate()});
  }
}

double PowerRate(const Chip& chip, double watts) {
  const std::vector<PowerPoint>& curve = chip.power_curve;
  if (curve.empty()) return 1;
  const auto above = std::find_if(curve.begin(), curve.end(),
                                  [&](const PowerPoint& point) { return point.watts >= watts; });
  if (above == curve.end()) return curve.back().rate;
  if (above == curve.begin()) return above->rate;
  const PowerPoint& below = *(above - 1);
  const double share = (watts - below.watts) / (above->watts - below.watts);
  return below.rate + share * (above->rate - below.rate);
}

void LimitPower(double watts, const std::string& field, Diagnostics* diagnostics, Chip* chip) {
  if (!IsPower(watts)) {
    diagnostics->Error(field, absl::StrCat("is ", watts, ", expected 1 to 1e5"));
    return;
  }
  if (chip->power_curve.empty()) {
    if (watts == chip->power_watts) return;
    diagnostics->Error(field, absl::StrCat("is ", watts, ", but how fast ", chip->name,
                                           " is under a limit is not known; expected none, or "
                                           "chip.power_curve"));
    return;
  }
  const double rate = PowerRate(*chip, watts);
  for (MatmulCalibration& matmul : chip->calibration.matmul) {
    Slow(rate, &matmul.sustained_fraction);
    Slow(rate, &matmul.grouped_fraction);
  }
  SlowAttention(rate, &chip->calibration);
}

}  // namespace meshstep
