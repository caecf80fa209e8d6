#include "sim/validation/validate_collectives.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <memory>
#include <regex>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "meshstep/v1/cluster.pb.h"
#include "sim/base/csv.h"
#include "sim/base/data_path.h"
#include "sim/cost/collective.h"
#include "sim/cost/collective_model.h"
#include "sim/cost/collective_registry.h"
#include "sim/cost/copies.h"
#include "sim/cost/lower_bound.h"
#include "sim/validation/measured_chips.h"
#include "sim/validation/validate_report.h"
#include "strategies/block/block_view.h"
#include "topologies/build_fabric.h"
#include "topologies/load_cluster.h"

namespace meshstep {
namespace {

// Chips of one group: `ranks` in nodes of `per_node`, of a cluster preset if one is named (whose
// NICs are those of the row if it names any, `nic_gbytes_per_s` per node), or chips of a torus of
// that slice, or as many slices of it, one chip of each.
struct Place {
  std::string chip;
  int ranks = 0, per_node = 0;
  double nic_gbytes_per_s = 0;
  std::string cluster = "";
  std::string slice = "";
  bool of_slices = false;
  auto operator<=>(const Place&) const = default;
};

// A row in the terms of the model; `reason` if it cannot be expressed.
struct Question {
  Place place;
  Collective collective = Collective::kAllReduce;
  double bytes = 0;
  std::string algorithm = "auto";
  Copies copies;
  std::string reason;
};

StatusOr<Collective> CollectiveOf(std::string name) {
  name = absl::StrReplaceAll(name, {{"_", "-"}});
  if (name == "alltoall" || name.find("ep-") == 0) name = "all-to-all";
  if (name == "collective-permute" || name == "send-recv") name = "permute";
  return ParseCollective(name);
}

double Number(const CsvTable& table, std::size_t row, const std::string& column) {
  double value = 0;
  return absl::SimpleAtod(table.At(row, column), &value) && std::isfinite(value) ? value : 0;
}

int Count(const CsvTable& table, std::size_t row, const std::string& column) {
  const double value = Number(table, row, column);
  return value >= 1 && value <= (1 << 17) ? static_cast<int>(value) : 0;
}

// GB/s of all NICs of a node, from "8x400G", "32x EFA 100G", "4x HDR200 per node"; 0 if the text names none.
double NicsOf(const std::string& interconnect) {
  static const std::regex kNics("([0-9]+)x ?[A-Za-z ]*([0-9]+)(G| per node)");
  std::smatch match;
  if (!std::regex_search(interconnect, match, kNics)) return 0;
  return std::stod(match[1].str()) * std::stod(match[2].str()) / 8;
}

// The cluster whose network a row ran on, by a word of its interconnect and its chip; the first
// that matches, an empty word or chip matching all. A row on other chips or NICs than the preset's
// takes its transport only: latency and usable fraction.
struct ClusterName {
  const char *word, *chip, *preset;
};
constexpr ClusterName kClusters[] = {
    {"NVLink bridge pairs + PCIe; inter-node", "", "a100-pairs-ethernet"},
    {"NVLink bridge pairs", "a100-80gb", "a100-pcie-pairs"},
    {"NVLink bridge pairs", "", "h100-pcie-pairs"},
    {"slow Ethernet", "", "a100-ethernet"},
    {"TCPXO", "", "gcp-a3-mega"},
    {"TCPX", "", "gcp-a3-high"},
    {"EFA", "b200", "aws-p6-b200"},
    {"EFA", "h200", "aws-p5en"},
    {"EFA", "a100-40gb", "aws-p4d"},
    {"EFA", "a100-80gb", "aws-p4d"},
    {"EFA", "", "aws-p5"},
    {"AINIC", "", "mi355x-ainic"},
    {"RoCE", "b200", "gcp-a4"},
    {"RoCE", "b300", "oci-b300"},
    {"RoCE", "mi300x", "oci-mi300x"},
    {"RoCE", "gb200", "gb200-nvl72"},
    {"RoCE", "gb300", "gb300-nvl72"},
    {"RoCE", "", "oci-h100"},
    {"", "gb200", "gb200-nvl72"},
    {"", "gb300", "gb300-nvl72"},
    {"", "h200", "dgx-h200"},
    {"Slingshot", "mi250x", "frontier-mi250x"},
    {"Slingshot", "gh200", "isambard-gh200"},
    {"", "h800", "hgx-h800-deepseek"},
    {"", "b200", "dgx-b200"},
    {"", "", "dgx-h100"},
};

std::string ClusterOf(const std::string& interconnect, const std::string& chip) {
  const ClusterName* name = kClusters;
  while (interconnect.find(name->word) == std::string::npos ||
         (name->chip[0] != '\0' && name->chip != chip)) {
    ++name;
  }
  return name->preset;
}

// Chips joined by one NVLink switch, from "20 NVL72 racks", "2 racks", "1 rack"; 0 if not said.
int RackRanks(const std::string& interconnect, int ranks) {
  if (interconnect.find("NVL72") == std::string::npos &&
      interconnect.find("MNNVL") == std::string::npos) {
    return 0;
  }
  static const std::regex kRacks("([0-9]+) (NVL72 )?racks");
  std::smatch match;
  if (!std::regex_search(interconnect, match, kRacks)) return ranks;
  const int racks = std::stoi(match[1].str());
  return racks > 0 && ranks % racks == 0 ? ranks / racks : 0;
}

Question InDomain(const CsvTable& table, std::size_t row) {
  Question question;
  int ranks = Count(table, row, "group_size");
  if (table.At(row, "collective") == "collective-permute") {
    // Pairs are groups of two. The curves of NVL72 tell 64 ranks from 72 but not pairs from rings.
    // Where the pattern is not given, devices have a link for each peer and the group is no matter.
    const std::string pattern = table.Has("pattern") ? table.At(row, "pattern") : "";
    const bool pairs = pattern == "two-way-pairs" || pattern == "one-way-half";
    if (pattern == "unknown" || (pairs && std::has_single_bit(static_cast<unsigned>(ranks)))) {
      ranks = 2;
    }
  }
  question.place = {ChipOfDevice(table.At(row, "device")), ranks, ranks, 0};
  question.bytes = Number(table, row, "tensor_bytes");
  return question;
}

// All-gather over four chips of TPU7x, by both devices of each chip at once: the size counts what a
// chip receives, 2 x 3/4 of the gathered array of one device.
Question OnTorus(const CsvTable& table, std::size_t row) {
  static const std::regex kSlice("topology ([0-9]+x[0-9]+x[0-9]+) \\(4 devices");
  Question question;
  std::smatch match;
  if (!std::regex_search(table.At(row, "interconnect"), match, kSlice)) {
    question.reason = "the slice is not given";
    return question;
  }
  question.place.chip = "tpu-v7x";
  question.place.ranks = 4;
  question.place.per_node = 4;
  question.place.slice = match[1].str();
  question.bytes = Number(table, row, "bytes") * (4.0 / 3) / 2;
  return question;
}

// Bytes that a rank sends to routed experts, from "128 tokens x 7168, top-8": one per element for
// the FP8 dispatch, two for the BF16 combine. DeepSeek-V3 routes to 8 where the text does not say.
double ExpertBytes(const CsvTable& table, std::size_t row) {
  static const std::regex kTokens("([0-9]+) tokens x ([0-9]+)"), kExperts("top-([0-9]+)");
  const std::string& text = table.At(row, "size_convention");
  std::smatch tokens, experts;
  if (!std::regex_search(text, tokens, kTokens)) return 0;
  const double copies = std::regex_search(text, experts, kExperts) ? std::stod(experts[1]) : 8;
  const double width = table.At(row, "collective").find("combine") == std::string::npos ? 1 : 2;
  return std::stod(tokens[1]) * std::stod(tokens[2]) * copies * width;
}

// Tokens go to 8 experts; DeepSeek-V3's to those of at most 4 nodes.
void AskExperts(const CsvTable& table, std::size_t row, Question* question) {
  const std::string& name = table.At(row, "collective");
  const bool back = name.find("combine") != std::string::npos;
  question->bytes = ExpertBytes(table, row);
  Copies& copies = question->copies;
  copies.item_bytes = back ? 2 * 7168 : 7168;  // of every such row
  if (name.find("_lowlat") != std::string::npos) {
    copies.mover = back ? Mover::kLowLatencyCombine : Mover::kLowLatency;
    return;
  }
  copies.mover = Mover::kDeepEp;
  copies.copies = 8;
  copies.groups = std::max(1, Count(table, row, "nodes"));
  copies.groups_of_item = std::min(4.0, copies.groups);
}

// What stands for a size that is not told of a bandwidth at large sizes.
constexpr double kLargeMessage = 8589934592;

Question AcrossNodes(const CsvTable& table, std::size_t row) {
  Question question;
  const std::string& hardware = table.At(row, "hardware");
  const std::string& interconnect = table.At(row, "interconnect");
  const int ranks = Count(table, row, "ranks");
  int per_node = Count(table, row, "ranks_per_node");
  if (const int rack = RackRanks(interconnect, ranks); rack > 0) per_node = rack;
  // Chips on NVLink bridges: a node of the model is a pair.
  if (hardware.find("pairwise") != std::string::npos) per_node = std::min(2, per_node);
  const std::string chip = ChipOfDevice(hardware);
  question.place = {chip, ranks, per_node, NicsOf(interconnect), ClusterOf(interconnect, chip)};
  question.bytes = Number(table, row, "bytes");
  if (table.At(row, "collective").find("ep_") == 0) AskExperts(table, row, &question);
  // Only the bandwidth that large messages reach is told.
  if (question.bytes == 0 && Number(table, row, "busbw_GBps") > 0) question.bytes = kLargeMessage;
  return question;
}

// All-reduce between two slices of 256 v6e, every chip its own: half of the array of the row each
// (configs/2x_v6e_256.yaml and psum_dcn of the source).
Question AcrossSlices(const CsvTable& table, std::size_t row) {
  Question question;
  question.place = {"tpu-v6e", 2, 2, 0, "tpu-v6e", "16x16", true};
  question.bytes = Number(table, row, "bytes") / 2;
  return question;
}

Question Ask(const CsvTable& table, std::size_t row) {
  const bool domain = table.Has("group_size");
  const bool torus = !domain && table.At(row, "hardware").find("TPU") == 0;
  const bool slices = torus && table.At(row, "interconnect").find("DCN") == 0;
  Question question = domain   ? InDomain(table, row)
                      : slices ? AcrossSlices(table, row)
                      : torus  ? OnTorus(table, row)
                               : AcrossNodes(table, row);
  if (!question.reason.empty()) return question;
  const StatusOr<Collective> collective = CollectiveOf(table.At(row, "collective"));
  if (collective.ok()) question.collective = *collective;
  // The library's own messages, not a compiler's permute.
  if (table.At(row, "collective") == "send_recv") question.algorithm = "send-recv";
  const Place& place = question.place;
  if (!collective.ok()) {
    question.reason = std::string(collective.status().message());
  } else if (place.chip.empty()) {
    question.reason = "the chip is not described";
  } else if (place.ranks < 2) {
    question.reason = "the number of ranks is not given";
  } else if (place.per_node < 1 || place.ranks % place.per_node != 0) {
    question.reason = "the ranks do not fill nodes";
  } else if (question.bytes <= 0) {
    question.reason = "the size is not given";
  }
  return question;
}

// A cluster with all its devices as one group.
class Predictor {
 public:
  static StatusOr<std::unique_ptr<Predictor>> Make(const Place& place, const Catalog& catalog) {
    v1::Cluster proto;
    proto.set_preset(place.cluster);
    proto.mutable_chip()->set_preset(place.chip);
    if (!place.slice.empty()) {
      proto.set_slice(place.slice);
      if (place.of_slices) proto.set_slices(place.ranks);
      return FromProto(proto, place, catalog);
    }
    proto.set_chips(place.ranks);
    v1::Nodes* nodes = proto.mutable_nodes();
    nodes->set_chips_per_node(place.per_node);
    RETURN_IF_ERROR(SetNics(place, catalog, nodes));
    return FromProto(proto, place, catalog);
  }

  StatusOr<CollectiveCost> Predict(const Question& question) const {
    const CollectiveAlgorithm* named = FindAlgorithm(question.algorithm);
    const bool runs =
        named != nullptr && named->Supports(question.collective, mesh_->GroupOf({&axis_, 1}, 0));
    return model_->Cost(question.collective, Bytes(question.bytes), {&axis_, 1}, 0,
                        runs ? question.algorithm : "auto", question.copies);
  }

  // Of what no transfer joins; 0 of experts.
  Seconds Bound(const Question& question) const {
    if (question.copies.mover != Mover::kLibrary) return Seconds(0);
    return LowerBoundOf(*fabric_, mesh_->GroupOf({&axis_, 1}, 0), question.collective,
                        Bytes(question.bytes))
        .value();
  }

 private:
  // Of the `node` GB/s of a whole node: those of its chips that take part, or as many NICs.
  static double UsedNics(const v1::Nodes& of, double node, const Place& place) {
    if (of.chips_per_node() == 0) return 50.0 * place.per_node;
    const double parts = static_cast<double>(place.per_node) / of.chips_per_node();
    return std::max(node * parts, std::min(node, of.nic_gbytes_per_s() * place.per_node));
  }

  // One NIC per chip, where the preset's do not give the node what the row says or the node is
  // another; nodes of no preset are alone and need none.
  static Status SetNics(const Place& place, const Catalog& catalog, v1::Nodes* nodes) {
    v1::Cluster preset;
    preset.set_preset(place.cluster);
    if (!place.cluster.empty()) {
      Diagnostics diagnostics;
      ResolveClusterPresets(&preset, "cluster", catalog, &diagnostics);
      RETURN_IF_ERROR(diagnostics.status());
    }
    const v1::Nodes& of = preset.nodes();
    const int count = of.has_nics_per_node() ? of.nics_per_node() : of.chips_per_node();
    const double node = count * of.nic_gbytes_per_s();
    if (of.chips_per_node() == place.per_node &&
        (place.nic_gbytes_per_s == 0 || place.nic_gbytes_per_s == node)) {
      return absl::OkStatus();
    }
    nodes->set_nics_per_node(place.per_node);
    nodes->set_nic_gbytes_per_s(
        (place.nic_gbytes_per_s > 0 ? place.nic_gbytes_per_s : UsedNics(of, node, place)) /
        place.per_node);
    return absl::OkStatus();
  }

  static StatusOr<std::unique_ptr<Predictor>> FromProto(v1::Cluster proto, const Place& place,
                                                        const Catalog& catalog) {
    Diagnostics diagnostics;
    ResolveClusterPresets(&proto, "cluster", catalog, &diagnostics);
    RETURN_IF_ERROR(diagnostics.status());
    auto predictor = std::make_unique<Predictor>();
    const Cluster cluster = LoadCluster(proto, "cluster", &diagnostics);
    RETURN_IF_ERROR(diagnostics.status());
    predictor->fabric_ = BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kCalibrated);
    // On a torus the devices of a chip are in different groups.
    const int dies = place.slice.empty() ? 1 : cluster.chip.devices_per_chip;
    const AxisRequest rest{"rest", cluster.devices() / dies / place.ranks, ""};
    const AxisRequest all{"all", place.ranks, ""};
    const AxisRequest axes[] = {
        {"die", dies, ""}, place.of_slices ? rest : all, place.of_slices ? all : rest};
    ASSIGN_OR_RETURN(Mesh mesh, Mesh::Place(*predictor->fabric_, axes));
    predictor->axis_ = mesh.Find("all");
    predictor->mesh_ = std::make_unique<Mesh>(std::move(mesh));
    predictor->classes_ = std::make_unique<LinkClasses>(*predictor->mesh_, std::span<AxisId>());
    predictor->model_ = std::make_unique<CollectiveModel>(
        *predictor->mesh_, predictor->classes_.get(), Fidelity::kCalibrated);
    return predictor;
  }

  std::unique_ptr<Fabric> fabric_;
  std::unique_ptr<Mesh> mesh_;
  std::unique_ptr<LinkClasses> classes_;
  std::unique_ptr<CollectiveModel> model_;
  AxisId axis_ = 0;
};

// Errors from which on the bound is asked.
constexpr double kUnlikely = 0.5;

using Predictors = std::map<Place, std::unique_ptr<Predictor>>;

void Predict(const Question& question, const Catalog& catalog, Predictors* predictors,
             v1::ValidateRow* row) {
  if (!question.reason.empty()) {
    row->set_reason(question.reason);
    return;
  }
  std::unique_ptr<Predictor>& predictor = (*predictors)[question.place];
  if (predictor == nullptr) {
    StatusOr<std::unique_ptr<Predictor>> made = Predictor::Make(question.place, catalog);
    if (!made.ok()) {
      row->set_reason(std::string(made.status().message()));
      return;
    }
    predictor = *std::move(made);
  }
  const StatusOr<CollectiveCost> cost = predictor->Predict(question);
  if (!cost.ok()) {
    row->set_reason(std::string(cost.status().message()));
    return;
  }
  row->set_predicted_s(cost->idle_time.value());
  row->set_algorithm(std::string(cost->algorithm->name()));
  if (row->measured_s() <= 0) return;
  const double error = row->predicted_s() / row->measured_s() - 1;
  if (error > kUnlikely && predictor->Bound(question).value() > row->measured_s()) {
    row->set_reason("measured faster than the wires allow");
    return;
  }
  row->set_error(error);
}

// As the row says, else from its bus bandwidth as nccl-tests counts it.
double MeasuredSeconds(const CsvTable& table, std::size_t row, const Question& question) {
  const double told = Number(table, row, "time_us") * 1e-6;
  const double bus = table.Has("busbw_GBps") ? Number(table, row, "busbw_GBps") * 1e9 : 0;
  if (told > 0 || bus <= 0 || question.place.ranks < 2) return told;
  const double p = question.place.ranks;
  if (table.At(row, "collective").find("ep_") == 0) {
    // Bandwidth of the busiest kind of link: a token once for each node it goes to, its own too, or
    // inside a node once for each rank (DeepEP, tests/test_internode.py, test_intranode.py).
    const double nodes = question.copies.groups;
    return question.bytes * JoinedShare(question.copies, nodes > 1 ? nodes : p) / bus;
  }
  const double moved =
      question.collective == Collective::kAllReduce ? 2 * (p - 1) / p : (p - 1) / p;
  return question.bytes * moved / bus;
}

// Device, collective, group and decade of the size; runs: their own family.
std::string FamilyOf(const CsvTable& table, std::size_t row, const Question& question) {
  if (table.Has("family")) return table.At(row, "family");
  const int decade =
      question.bytes > 0 ? static_cast<int>(std::floor(std::log10(question.bytes))) : 0;
  return absl::StrCat(table.At(row, "device"), " ", table.At(row, "collective"), " ",
                      table.At(row, "group_size"), " 1e", decade);
}

Status CheckColumns(const std::string& path, const CsvTable& table) {
  const bool domain = table.Has("group_size");
  const std::vector<std::string> needed =
      domain ? std::vector<std::string>{"device", "collective", "tensor_bytes", "time_us"}
             : std::vector<std::string>{"hardware", "collective", "ranks", "bytes", "time_us"};
  for (const std::string& column : needed) {
    if (!table.Has(column)) {
      return InvalidInput(absl::StrCat(path, ":1: has no column \"", column, "\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<v1::ValidateReport> ValidateCollectives(const std::string& path, const Catalog& catalog) {
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  ASSIGN_OR_RETURN(const CsvTable table, ParseCsv(path, content));
  RETURN_IF_ERROR(CheckColumns(path, table));
  v1::ValidateReport report;
  Predictors predictors;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const Question question = Ask(table, i);
    v1::ValidateRow* row = report.add_rows();
    row->set_id(table.Has("id") ? table.At(i, "id") : absl::StrCat("line ", table.lines[i]));
    row->set_family(FamilyOf(table, i, question));
    row->set_measured_s(MeasuredSeconds(table, i, question));
    row->set_device(table.At(i, table.Has("device") ? "device" : "hardware"));
    row->set_collective(table.At(i, "collective"));
    row->set_group_size(question.place.ranks);
    row->set_tensor_bytes(question.bytes);
    Predict(question, catalog, &predictors, row);
  }
  SummarizeFamilies(&report);
  return report;
}

}  // namespace meshstep
