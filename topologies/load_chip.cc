#include "topologies/load_chip.h"

#include <algorithm>
#include <array>
#include <limits>

#include "meshstep/v1/chip.pb.h"
#include "topologies/field_checks.h"
#include "topologies/load_attention.h"
#include "topologies/load_collectives.h"
#include "topologies/load_power.h"

namespace meshstep {
namespace {

constexpr double kMaxSpread = 0.2;
constexpr int kMaxUnits = 1 << 20;

// Estimates for chips without measurements of their own. Launch: a kernel of one CPU launch takes 4
// to 6 us. Fractions: the best matmul of most chips is 73 to 87 % of the peak, and fits of H100 and
// B200 stream operands at 0.5 to 0.7 of HBM (hardware.md section 5.1; the maximum achievable FLOPs
// of stas00/ml-engineering and the matmul table of openxla/xla). Tiles: 128 x 128, as both.
MatmulCalibration MatmulEstimate() {
  MatmulCalibration c;
  c.launch = Seconds(4.5e-6);
  c.peak_fraction = 0.75;
  c.hbm_fraction = 0.6;
  c.tile_m = c.tile_n = 128;
  return c;
}

double Giga(double value) { return value * 1e9; }

std::string Item(const std::string& field, const char* name, int index) {
  return absl::StrCat(field, ".", name, "[", index, "]");
}

void LoadMatmulPeaks(const v1::Rates& proto, const std::string& field, Diagnostics* diagnostics,
                     Rates* rates) {
  std::array<bool, kDtypes> seen{};
  for (int i = 0; i < proto.matmul_size(); ++i) {
    const v1::MatmulPeak& peak = proto.matmul(i);
    const std::string item = Item(field, "matmul", i);
    const StatusOr<Dtype> dtype = ParseDtype(peak.dtype());
    if (!dtype.ok()) {
      diagnostics->Error(item + ".dtype", std::string(dtype.status().message()));
      continue;
    }
    const auto d = static_cast<std::size_t>(*dtype);
    if (seen[d]) diagnostics->Error(item + ".dtype", "is \"" + peak.dtype() + "\" a second time");
    seen[d] = true;
    rates->matmul[d] = FlopsPerSecond(
        CheckedQuantity(peak.flops_per_s(), kFlopsPerSecond, item + ".flops_per_s", diagnostics));
  }
}

// `rates` holds the defaults.
void LoadRates(const v1::Rates& proto, const std::string& field, Diagnostics* diagnostics,
               Rates* rates) {
  LoadMatmulPeaks(proto, field, diagnostics, rates);
  const auto checked = [&](double value, const UnitRange& range, const char* name) {
    return CheckedQuantity(value, range, absl::StrCat(field, ".", name), diagnostics);
  };
  if (proto.has_vector_flops_per_s()) {
    rates->vector =
        FlopsPerSecond(checked(proto.vector_flops_per_s(), kFlopsPerSecond, "vector_flops_per_s"));
  }
  if (proto.has_hbm_bytes()) {
    rates->hbm = Bytes(checked(static_cast<double>(proto.hbm_bytes()), kBytes, "hbm_bytes"));
  }
  if (proto.has_hbm_bytes_per_s()) {
    rates->hbm_rate =
        BytesPerSecond(checked(proto.hbm_bytes_per_s(), kBytesPerSecond, "hbm_bytes_per_s"));
  }
  if (proto.has_link_gbytes_per_s()) {
    rates->link = BytesPerSecond(
        Giga(checked(proto.link_gbytes_per_s(), kGigabytesPerSecond, "link_gbytes_per_s")));
  }
  if (proto.has_host_gbytes_per_s()) {
    rates->host = BytesPerSecond(
        Giga(checked(proto.host_gbytes_per_s(), kGigabytesPerSecond, "host_gbytes_per_s")));
  }
  if (proto.has_scale_out_gbytes_per_s()) {
    rates->scale_out = BytesPerSecond(Giga(
        checked(proto.scale_out_gbytes_per_s(), kGigabytesPerSecond, "scale_out_gbytes_per_s")));
  }
}

void CheckRatesComplete(const v1::Chip& proto, const std::string& field, Diagnostics* diagnostics) {
  const v1::Rates& sheet = proto.datasheet();
  const auto missing = [&](const char* name, const char* expected) {
    diagnostics->Error(field + ".datasheet." + name,
                       std::string("is missing, expected ") + expected);
  };
  if (sheet.matmul_size() == 0) missing("matmul", "the peak of at least one number format");
  if (!sheet.has_hbm_bytes()) missing("hbm_bytes", "the HBM capacity");
  if (!sheet.has_hbm_bytes_per_s()) missing("hbm_bytes_per_s", "the HBM bandwidth");
  if (proto.interconnect().kind() != v1::Interconnect::KIND_UNSPECIFIED &&
      !sheet.has_link_gbytes_per_s()) {
    missing("link_gbytes_per_s", "the rate of one link, one way");
  }
}

Interconnect::Wraparound LoadWraparound(const v1::Interconnect& proto, const std::string& field,
                                        Diagnostics* diagnostics) {
  switch (proto.wraparound()) {
    case v1::Interconnect::NEVER:
      return Interconnect::Wraparound::kNever;
    case v1::Interconnect::FULL_AXIS:
      return Interconnect::Wraparound::kFullAxis;
    case v1::Interconnect::WHOLE_CUBES:
      return Interconnect::Wraparound::kWholeCubes;
    case v1::Interconnect::ALWAYS:
      return Interconnect::Wraparound::kAlways;
    default:
      diagnostics->Error(field + ".wraparound",
                         "is missing or unknown, expected NEVER, FULL_AXIS, WHOLE_CUBES or ALWAYS");
      return Interconnect::Wraparound::kNever;
  }
}

template <class Repeated>
std::vector<int> LoadExtents(const Repeated& proto, int dimensions, const std::string& field,
                             Diagnostics* diagnostics) {
  std::vector<int> extents;
  if (!proto.empty() && proto.size() != dimensions) {
    diagnostics->Error(
        field, absl::StrCat("has ", proto.size(), " sizes, expected one for each of ", dimensions,
                            " dimensions"));
  }
  for (int i = 0; i < proto.size(); ++i) {
    extents.push_back(
        CheckedInt(proto.Get(i), 1, 1 << 20, absl::StrCat(field, "[", i, "]"), diagnostics));
  }
  return extents;
}

void LoadTorus(const v1::Interconnect& proto, const std::string& field, Diagnostics* diagnostics,
               Interconnect* net) {
  net->dimensions = CheckedInt(proto.dimensions(), 1, 6, field + ".dimensions", diagnostics);
  net->wraparound = LoadWraparound(proto, field, diagnostics);
  if (net->wraparound == Interconnect::Wraparound::kFullAxis) {
    net->full_axis = CheckedInt(proto.full_axis(), 2, 1 << 20, field + ".full_axis", diagnostics);
  }
  net->pod = LoadExtents(proto.pod(), net->dimensions, field + ".pod", diagnostics);
  net->host = LoadExtents(proto.host(), net->dimensions, field + ".host", diagnostics);
}

Interconnect LoadInterconnect(const v1::Interconnect& proto, int devices_per_chip,
                              const std::string& field, Diagnostics* diagnostics) {
  Interconnect net;
  switch (proto.kind()) {
    case v1::Interconnect::TORUS:
      net.kind = Interconnect::Kind::kTorus;
      LoadTorus(proto, field, diagnostics, &net);
      break;
    case v1::Interconnect::SWITCH:
      net.kind = Interconnect::Kind::kSwitch;
      break;
    case v1::Interconnect::FULL_MESH:
      net.kind = Interconnect::Kind::kFullMesh;
      break;
    case v1::Interconnect::KIND_UNSPECIFIED:
      break;
    default:
      diagnostics->Error(field + ".kind", absl::StrCat("is ", static_cast<int>(proto.kind()),
                                                       ", expected TORUS, SWITCH or FULL_MESH"));
  }
  if (proto.has_usable_fraction()) {
    net.usable_fraction =
        CheckedFraction(proto.usable_fraction(), field + ".usable_fraction", diagnostics);
  }
  if (proto.has_scale_out_usable_fraction()) {
    net.scale_out_usable_fraction = CheckedFraction(
        proto.scale_out_usable_fraction(), field + ".scale_out_usable_fraction", diagnostics);
  }
  if (proto.has_largest_job_chips()) {
    net.largest_job_chips = CheckedInt(proto.largest_job_chips(), 1, 1 << 20,
                                       field + ".largest_job_chips", diagnostics);
  }
  if (proto.has_latency_ns()) {
    net.latency =
        Seconds(CheckedNanoseconds(proto.latency_ns(), field + ".latency_ns", diagnostics) * 1e-9);
  }
  // 0 is "not given": one chip alone.
  net.domain_chips = CheckedInt(proto.domain_chips() == 0 ? 1 : proto.domain_chips(), 1, 1 << 20,
                                field + ".domain_chips", diagnostics);
  net.in_network_reduction = proto.in_network_reduction();
  if (proto.has_die_to_die_gbytes_per_s()) {
    net.die_to_die =
        BytesPerSecond(Giga(CheckedQuantity(proto.die_to_die_gbytes_per_s(), kGigabytesPerSecond,
                                            field + ".die_to_die_gbytes_per_s", diagnostics)));
  } else if (devices_per_chip > 1) {
    diagnostics->Error(field + ".die_to_die_gbytes_per_s",
                       absl::StrCat("is missing, expected the bandwidth between the ",
                                    devices_per_chip, " devices of a chip"));
  }
  return net;
}

// 0 where the field is not given.
double OptionalGiga(bool given, double value, const std::string& field, Diagnostics* diagnostics) {
  return given ? Giga(CheckedQuantity(value, kGigabytesPerSecond, field, diagnostics)) : 0;
}

Seconds OptionalNanoseconds(bool given, double value, const std::string& field,
                            Diagnostics* diagnostics) {
  return Seconds(given ? CheckedNanoseconds(value, field, diagnostics) * 1e-9 : 0);
}

MatmulCalibration LoadMatmulCalibration(const v1::MatmulCalibration& proto, const std::string& item,
                                        Diagnostics* diagnostics) {
  MatmulCalibration c;
  c.launch = OptionalNanoseconds(true, proto.launch_ns(), item + ".launch_ns", diagnostics);
  c.peak_fraction = CheckedFraction(proto.peak_fraction(), item + ".peak_fraction", diagnostics);
  c.hbm_fraction = CheckedFraction(proto.hbm_fraction(), item + ".hbm_fraction", diagnostics);
  c.choose_tile = proto.choose_tile();
  if (!c.choose_tile) {
    c.tile_m = CheckedInt(proto.tile_m(), 1, 1 << 16, item + ".tile_m", diagnostics);
    c.tile_n = CheckedInt(proto.tile_n(), 1, 1 << 16, item + ".tile_n", diagnostics);
  }
  c.load = BytesPerSecond(OptionalGiga(proto.has_load_gbytes_per_s(), proto.load_gbytes_per_s(),
                                       item + ".load_gbytes_per_s", diagnostics));
  c.store = BytesPerSecond(OptionalGiga(proto.has_store_gbytes_per_s(), proto.store_gbytes_per_s(),
                                        item + ".store_gbytes_per_s", diagnostics));
  c.relayout =
      BytesPerSecond(OptionalGiga(proto.has_relayout_gbytes_per_s(), proto.relayout_gbytes_per_s(),
                                  item + ".relayout_gbytes_per_s", diagnostics));
  c.tile_start = OptionalNanoseconds(proto.has_tile_start_ns(), proto.tile_start_ns(),
                                     item + ".tile_start_ns", diagnostics);
  c.split =
      OptionalNanoseconds(proto.has_split_ns(), proto.split_ns(), item + ".split_ns", diagnostics);
  if (proto.has_cache_bytes()) {
    c.cache = Bytes(CheckedPositive(proto.cache_bytes(), item + ".cache_bytes", diagnostics));
  }
  if (proto.has_sustained_fraction()) {
    c.sustained_fraction =
        CheckedFraction(proto.sustained_fraction(), item + ".sustained_fraction", diagnostics);
  }
  c.grouped_fraction = c.sustained_fraction;
  if (proto.has_grouped_fraction()) {
    c.grouped_fraction =
        CheckedFraction(proto.grouped_fraction(), item + ".grouped_fraction", diagnostics);
  }
  if (proto.has_precise_fraction()) {
    c.precise_fraction =
        CheckedFraction(proto.precise_fraction(), item + ".precise_fraction", diagnostics);
  }
  const double exposed = proto.exposed_results();
  if (exposed >= 0 && exposed <= 1) {
    c.exposed_results = exposed;
  } else {
    diagnostics->Error(item + ".exposed_results",
                       absl::StrCat("is ", exposed, ", expected 0 to 1"));
  }
  return c;
}

// A format without measurements behaves as bf16, else as fp16, else as the estimate.
void FillMatmulCalibration(const std::array<bool, kDtypes>& given,
                           ComputeCalibration* calibration) {
  MatmulCalibration fallback = MatmulEstimate();
  for (const Dtype dtype : {Dtype::kBf16, Dtype::kFp16}) {
    const auto d = static_cast<std::size_t>(dtype);
    if (!given[d]) continue;
    fallback = calibration->matmul[d];
    break;
  }
  for (std::size_t d = 0; d < given.size(); ++d) {
    if (!given[d]) calibration->matmul[d] = fallback;
  }
}

// compute_units: of the chip.
ComputeCalibration LoadCalibration(const v1::ComputeCalibration& proto, int compute_units,
                                   const std::string& field, Diagnostics* diagnostics) {
  ComputeCalibration calibration;
  std::array<bool, kDtypes> given{};
  for (int i = 0; i < proto.matmul_size(); ++i) {
    const std::string item = Item(field, "matmul", i);
    const StatusOr<Dtype> dtype = ParseDtype(proto.matmul(i).dtype());
    if (!dtype.ok()) {
      diagnostics->Error(item + ".dtype", std::string(dtype.status().message()));
      continue;
    }
    const auto d = static_cast<std::size_t>(*dtype);
    if (given[d]) {
      diagnostics->Error(item + ".dtype", "is \"" + proto.matmul(i).dtype() + "\" a second time");
    }
    given[d] = true;
    calibration.matmul[d] = LoadMatmulCalibration(proto.matmul(i), item, diagnostics);
  }
  FillMatmulCalibration(given, &calibration);
  LoadAttention(proto, field, diagnostics, &calibration);
  if (proto.has_hbm_fraction()) {
    calibration.hbm_fraction =
        CheckedFraction(proto.hbm_fraction(), field + ".hbm_fraction", diagnostics);
  }
  if (proto.has_permutation_fraction()) {
    calibration.permutation_fraction =
        CheckedFraction(proto.permutation_fraction(), field + ".permutation_fraction", diagnostics);
  }
  if (proto.has_elementwise_launch_ns()) {
    calibration.elementwise_launch =
        Seconds(CheckedNanoseconds(proto.elementwise_launch_ns(), field + ".elementwise_launch_ns",
                                   diagnostics) *
                1e-9);
  }
  if (proto.has_host_fraction()) {
    calibration.host_fraction =
        CheckedFraction(proto.host_fraction(), field + ".host_fraction", diagnostics);
  }
  calibration.speed_spread = proto.speed_spread();
  if (!(calibration.speed_spread >= 0 && calibration.speed_spread <= kMaxSpread)) {
    diagnostics->Error(field + ".speed_spread",
                       absl::StrCat("is ", proto.speed_spread(), ", expected 0 to ", kMaxSpread));
    calibration.speed_spread = 0;
  }
  calibration.collective_units = proto.collective_units();
  if (!(calibration.collective_units >= 0 && calibration.collective_units <= compute_units)) {
    diagnostics->Error(field + ".collective_units",
                       absl::StrCat("is ", proto.collective_units(), ", expected 0 to the ",
                                    compute_units, " compute_units of the chip"));
    calibration.collective_units = 0;
  }
  if (proto.has_strided_elements_per_s()) {
    calibration.strided_elements_per_s = CheckedPositive(
        proto.strided_elements_per_s(), field + ".strided_elements_per_s", diagnostics);
  }
  calibration.host_dispatch =
      OptionalNanoseconds(proto.has_host_dispatch_ns(), proto.host_dispatch_ns(),
                          field + ".host_dispatch_ns", diagnostics);
  return calibration;
}

}  // namespace

Confidence LoadConfidence(int proto, const std::string& field, Diagnostics* diagnostics) {
  switch (proto) {
    case v1::Chip::MEASURED:
      return Confidence::kMeasured;
    case v1::Chip::ANNOUNCED:
      return Confidence::kAnnounced;
    case v1::Chip::CONFIDENCE_UNSPECIFIED:
    case v1::Chip::DATA_SHEET:
      break;
    default:
      diagnostics->Error(
          field, absl::StrCat("is ", proto, ", expected MEASURED, DATA_SHEET or ANNOUNCED"));
  }
  return Confidence::kDataSheet;
}

Chip LoadChip(const v1::Chip& proto, const std::string& field, Diagnostics* diagnostics) {
  Chip chip;
  chip.name = !proto.name().empty() ? proto.name() : proto.preset();
  chip.vendor = proto.vendor();
  if (proto.year() != 0) {
    chip.year = CheckedInt(proto.year(), 1970, 2100, field + ".year", diagnostics);
  }
  chip.confidence = LoadConfidence(proto.confidence(), field + ".confidence", diagnostics);
  if (proto.has_devices_per_chip()) {
    chip.devices_per_chip =
        CheckedInt(proto.devices_per_chip(), 1, 16, field + ".devices_per_chip", diagnostics);
  }
  chip.narrow_matmuls_one_layout = proto.narrow_matmuls_one_layout();
  if (proto.has_compute_units()) {
    chip.compute_units =
        CheckedInt(proto.compute_units(), 1, kMaxUnits, field + ".compute_units", diagnostics);
  }
  CheckRatesComplete(proto, field, diagnostics);
  chip.datasheet.vector = FlopsPerSecond(std::numeric_limits<double>::infinity());
  LoadRates(proto.datasheet(), field + ".datasheet", diagnostics, &chip.datasheet);
  if (proto.has_system_hbm_bytes()) {
    const auto bytes = static_cast<double>(proto.system_hbm_bytes());
    if (bytes >= 0 && bytes < chip.datasheet.hbm.value()) {
      chip.system_hbm = Bytes(bytes);
    } else {
      diagnostics->Error(field + ".system_hbm_bytes",
                         absl::StrCat("is ", proto.system_hbm_bytes(),
                                      ", expected 0 to less than datasheet.hbm_bytes"));
    }
  }
  LoadPower(proto, field, diagnostics, &chip);
  chip.book = chip.datasheet;
  LoadRates(proto.book(), field + ".book", diagnostics, &chip.book);
  chip.interconnect = LoadInterconnect(proto.interconnect(), chip.devices_per_chip,
                                       field + ".interconnect", diagnostics);
  // Nothing follows from a wrong number of units.
  const bool known = !proto.has_compute_units() || proto.compute_units() == chip.compute_units;
  chip.calibration = LoadCalibration(proto.calibration(), known ? chip.compute_units : kMaxUnits,
                                     field + ".calibration", diagnostics);
  chip.collectives = LoadCollectives(proto, field, diagnostics);
  chip.across_nodes = LoadAcrossNodes(proto, field, diagnostics);
  chip.torus_collectives = LoadTorusCollectives(proto, field, diagnostics);
  return chip;
}

}  // namespace meshstep
