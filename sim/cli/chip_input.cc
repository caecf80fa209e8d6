#include "sim/cli/chip_input.h"

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "meshstep/v1/chip.pb.h"
#include "sim/base/catalog.h"
#include "sim/cli/values.h"
#include "sim/report/numbers.h"
#include "strategies/einsum/load_hardware.h"
#include "topologies/load_chip.h"

namespace meshstep {
namespace {

// Rates of one chip, as the book's letters: C FLOP/s of the format asked for, W a link or axis.
void Override(const Values& hw, AskedChip* asked) {
  ChipLimits& chip = asked->limits;
  const auto set = [&](const char* letter, double* rate) { *rate = NumberOr(hw, letter, *rate); };
  set("C", &chip.flops_per_s);
  set("hbm", &chip.hbm_bytes);
  set("hbm_bw", &chip.hbm_bytes_per_s);
  set("pcie", &chip.host_bytes_per_s);
  set("dcn", &chip.scale_out_bytes_per_s);
  set("axes", &chip.axes);
  if (hw.contains("W_uni")) {
    chip.link_one_way_bytes_per_s = hw.at("W_uni");
    chip.link_bytes_per_s = 2 * chip.link_one_way_bytes_per_s;
  }
  if (hw.contains("W_bidi")) {
    chip.link_bytes_per_s = hw.at("W_bidi");
    if (!hw.contains("W_uni")) chip.link_one_way_bytes_per_s = chip.link_bytes_per_s / 2;
  }
  if (hw.contains("W")) {
    chip.link_bytes_per_s = chip.link_one_way_bytes_per_s = hw.at("W");
    chip.full_mesh = false;
    asked->is_switch = true;
  }
  if (hw.contains("node")) {
    chip.domain_chips = hw.at("node");
    asked->is_switch = true;
  }
  if (hw.contains("node_W")) {
    chip.scale_out_bytes_per_s = hw.at("node_W") / chip.domain_chips;
    asked->is_switch = true;
  }
}

}  // namespace

void AddChipOptions(CLI::App* command, ChipInput* input) {
  command->add_option("--chip", input->name, "A name of `meshstep list chips`");
  command->add_option("--rates", input->rates, "book (default) or datasheet")
      ->check(CLI::IsMember({"book", "datasheet"}));
  command->add_option(
      "--hw", input->hw,
      "Rates over the chip's: C FLOP/s, hbm bytes, hbm_bw, W_uni or W_bidi of a torus "
      "axis, W into a switch, node chips of a switch, node_W out of a node, dcn out "
      "of a chip, pcie bytes/s, axes");
}

StatusOr<AskedChip> ReadChip(const ChipInput& input, Dtype math) {
  ASSIGN_OR_RETURN(const Values hw, ParseValues("--hw", input.hw,
                                                {"C", "hbm", "hbm_bw", "pcie", "dcn", "axes",
                                                 "W_uni", "W_bidi", "W", "node", "node_W"}));
  AskedChip asked;
  if (!input.name.empty()) {
    v1::Chip message;
    message.set_preset(ChipPreset(input.name));
    Diagnostics diagnostics;
    Catalog().Resolve("topologies/chips", "chip", &message, &diagnostics);
    RETURN_IF_ERROR(diagnostics.status());
    const Chip chip = LoadChip(message, "chip", &diagnostics);
    RETURN_IF_ERROR(diagnostics.status());
    const RateSet rates = input.rates == "book" ? RateSet::kBook : RateSet::kDatasheet;
    asked.name = input.name;
    asked.limits = LimitsOf(chip, rates, math);
    asked.is_switch = chip.interconnect.kind != Interconnect::Kind::kTorus;
    if (asked.limits.flops_per_s <= 0 && !hw.contains("C")) {
      return InvalidInput(absl::StrCat("--chip: ", input.name, " has no ",
                                       std::string(NameOf(math)), " matmul rate"));
    }
  }
  Override(hw, &asked);
  return asked;
}

}  // namespace meshstep
