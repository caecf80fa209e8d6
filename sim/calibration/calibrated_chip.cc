#include "sim/calibration/calibrated_chip.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace meshstep {
namespace {

// As a data file writes it: five digits.
double Rounded(double value) {
  return std::strtod(absl::StrFormat("%.5g", value).c_str(), nullptr);
}

// The index of the first entry of the collective that holds for p ranks; -1 if there is none.
int EntryFor(const Chip& chip, const std::string& collective, int p) {
  for (std::size_t i = 0; i < chip.collectives.size(); ++i) {
    if (chip.collectives[i].collective == collective && chip.collectives[i].Holds(p)) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

CollectiveCalibration NewEntry(const std::string& collective, bool full_mesh) {
  CollectiveCalibration entry;
  entry.collective = collective;
  entry.algorithm = full_mesh || collective == "all-to-all" ? "direct" : "ring";
  return entry;
}

Status CheckPlace(const std::vector<CollectiveSample>& samples, const Chip& chip) {
  const Interconnect& net = chip.interconnect;
  if (net.kind != Interconnect::Kind::kSwitch && net.kind != Interconnect::Kind::kFullMesh) {
    return InvalidInput(absl::StrCat("--collectives: ", chip.name,
                                     " is not on a switch or full mesh, whose collectives alone "
                                     "have measured tables"));
  }
  const int most = net.domain_chips * chip.devices_per_chip;
  for (const CollectiveSample& sample : samples) {
    if (sample.ranks <= most) continue;
    return InvalidInput(absl::StrCat("--collectives: a log is of ", sample.ranks,
                                     " ranks, expected at most the ", most, " of one domain of ",
                                     chip.name));
  }
  return absl::OkStatus();
}

// Writes sizes, groups and source; the entry's names and ranks stay.
void SetTable(const CollectiveCalibration& from, const std::string& source,
              v1::CollectiveCalibration* to) {
  to->set_collective(from.collective);
  to->set_algorithm(from.algorithm);
  to->set_source(source);
  to->clear_bytes();
  for (const Bytes bytes : from.sizes) to->add_bytes(bytes.value());
  to->clear_groups();
  for (const CollectiveCalibration::Group& group : from.groups) {
    v1::CollectiveGroup* item = to->add_groups();
    item->set_ranks(group.ranks);
    item->set_latency_ns(Rounded(group.latency.value() * 1e9));
    for (const BytesPerSecond rate : group.rates) {
      item->add_gbytes_per_s(Rounded(rate.value() * 1e-9));
    }
  }
}

// What was measured is usable: bounds take links at their usable rate.
void RaiseUsableFraction(const std::vector<FittedCollective>& fitted, const Chip& chip,
                         v1::Chip* message) {
  if (!(chip.datasheet.link > BytesPerSecond(0))) return;
  double fraction =
      message->interconnect().has_usable_fraction() ? message->interconnect().usable_fraction() : 1;
  for (const FittedCollective& entry : fitted) {
    for (const CollectiveCalibration::Group& group : entry.fit.calibration.groups) {
      for (const BytesPerSecond rate : group.rates) {
        // Up, not to the nearest: no time may be below its bound.
        const double part = std::ceil(rate / chip.datasheet.link * 1e4) * 1e-4;
        fraction = std::max(fraction, std::min(1.0, part));
      }
    }
  }
  if (fraction > chip.interconnect.usable_fraction) {
    message->mutable_interconnect()->set_usable_fraction(fraction);
  }
}

std::string Summary(const CollectiveFit& fit) {
  std::string ranks;
  for (const CollectiveCalibration::Group& group : fit.calibration.groups) {
    absl::StrAppend(&ranks, ranks.empty() ? "" : ", ", group.ranks);
  }
  return absl::StrCat(fit.calibration.collective, " (", fit.calibration.algorithm, ") on ", ranks,
                      " ranks: ", ResidualsText(fit.residuals));
}

}  // namespace

std::string ResidualsText(const Residuals& residuals) {
  return absl::StrFormat("%d rows, median error %.1f %%, 90th percentile %.1f %%", residuals.rows,
                         100 * residuals.median, 100 * residuals.ninetieth);
}

void SetMatmul(Dtype dtype, const MatmulCalibration& c, v1::Chip* chip) {
  const std::string name(NameOf(dtype));
  auto* entries = chip->mutable_calibration()->mutable_matmul();
  auto found = std::find_if(entries->begin(), entries->end(),
                            [&](const v1::MatmulCalibration& e) { return e.dtype() == name; });
  v1::MatmulCalibration* entry = found == entries->end() ? entries->Add() : &*found;
  entry->Clear();
  entry->set_dtype(name);
  entry->set_launch_ns(Rounded(c.launch.value() * 1e9));
  entry->set_peak_fraction(Rounded(c.peak_fraction));
  entry->set_hbm_fraction(Rounded(c.hbm_fraction));
  if (c.choose_tile) {
    entry->set_choose_tile(true);
  } else {
    entry->set_tile_m(c.tile_m);
    entry->set_tile_n(c.tile_n);
  }
  const auto rate = [](BytesPerSecond r) { return Rounded(r.value() * 1e-9); };
  const auto time = [](Seconds t) { return Rounded(t.value() * 1e9); };
  if (c.load.value() > 0) entry->set_load_gbytes_per_s(rate(c.load));
  if (c.store.value() > 0) entry->set_store_gbytes_per_s(rate(c.store));
  if (c.tile_start.value() > 0) entry->set_tile_start_ns(time(c.tile_start));
  if (c.split.value() > 0) entry->set_split_ns(time(c.split));
  if (c.cache.value() > 0) entry->set_cache_bytes(Rounded(c.cache.value()));
  if (c.relayout.value() > 0) entry->set_relayout_gbytes_per_s(rate(c.relayout));
  entry->set_sustained_fraction(Rounded(c.sustained_fraction));
}

StatusOr<std::vector<FittedCollective>> FitCollectiveInto(
    const std::string& collective, const std::vector<CollectiveSample>& samples, const Chip& chip,
    const std::string& source, v1::Chip* message) {
  RETURN_IF_ERROR(CheckPlace(samples, chip));
  const bool full_mesh = chip.interconnect.kind == Interconnect::Kind::kFullMesh;
  std::map<int, std::vector<CollectiveSample>> by_entry;
  for (const CollectiveSample& sample : samples) {
    by_entry[EntryFor(chip, collective, sample.ranks)].push_back(sample);
  }
  std::vector<FittedCollective> fitted;
  for (const auto& [index, own] : by_entry) {
    CollectiveFit fit = FitCollective(own,
                                      index < 0 ? NewEntry(collective, full_mesh)
                                                : chip.collectives[static_cast<std::size_t>(index)],
                                      chip.datasheet.link, full_mesh);
    std::string summary = Summary(fit);
    v1::CollectiveCalibration* entry =
        index < 0 ? message->add_collectives() : message->mutable_collectives(index);
    SetTable(fit.calibration, absl::StrCat(source, ": ", ResidualsText(fit.residuals)), entry);
    fitted.push_back({std::move(fit), std::move(summary)});
  }
  RaiseUsableFraction(fitted, chip, message);
  for (std::size_t i = 0; i < chip.collectives.size(); ++i) {
    const CollectiveCalibration& entry = chip.collectives[i];
    if (entry.collective != collective || by_entry.contains(static_cast<int>(i))) continue;
    int beyond = entry.min_ranks;
    for (const CollectiveSample& sample : samples) {
      if (entry.Holds(sample.ranks)) beyond = std::max(beyond, sample.ranks + 1);
    }
    if (beyond > entry.min_ranks) {
      message->mutable_collectives(static_cast<int>(i))->set_min_ranks(beyond);
    }
  }
  return fitted;
}

}  // namespace meshstep
