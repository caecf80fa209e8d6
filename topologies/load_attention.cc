#include "topologies/load_attention.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/chip.pb.h"
#include "topologies/field_checks.h"

namespace meshstep {
namespace {

constexpr int kMaxSide = 1 << 16;
constexpr double kMostElements = 1e18;
constexpr int kFusedProducts = 5, kSplitProducts = 7;

std::string Item(const std::string& field, const char* name, int i) {
  return absl::StrCat(field, ".", name, "[", i, "]");
}

AttentionBlocks LoadBlocks(const v1::AttentionBlocks& proto, const std::string& field,
                           Diagnostics* diagnostics) {
  const auto side = [&](int value, const char* name) {
    return CheckedInt(value, 1, kMaxSide, absl::StrCat(field, ".", name), diagnostics);
  };
  const auto start = [&](double ns, const char* name) {
    return Seconds(CheckedNanoseconds(ns, absl::StrCat(field, ".", name), diagnostics) * 1e-9);
  };
  const int products = proto.has_backward_matmuls() ? proto.backward_matmuls() : kFusedProducts;
  if (products != kFusedProducts && products != kSplitProducts) {
    diagnostics->Error(
        field + ".backward_matmuls",
        absl::StrCat("is ", products, ", expected ", kFusedProducts, " or ", kSplitProducts));
  }
  return {
      .block = side(proto.block(), "block"),
      .backward_block = side(proto.backward_block(), "backward_block"),
      .array = side(proto.array(), "array"),
      .matmul_fraction =
          CheckedFraction(proto.matmul_fraction(), field + ".matmul_fraction", diagnostics),
      .scores_per_s = CheckedPositive(proto.scores_per_s(), field + ".scores_per_s", diagnostics),
      .block_start = start(proto.block_ns(), "block_ns"),
      .backward_block_start = start(proto.backward_block_ns(), "backward_block_ns"),
      .fused_backward = products == kFusedProducts};
}

AttentionTiles LoadTiles(const v1::AttentionTiles& proto, const std::string& item,
                         Diagnostics* diagnostics) {
  if ((proto.heads() > 0) == (proto.tokens_times_width() > 0)) {
    diagnostics->Error(item + ".heads",
                       "is " + std::to_string(proto.heads()) +
                           ", expected either heads or tokens_times_width above 0");
  }
  if (!(proto.tokens_times_width() >= 0 && proto.tokens_times_width() <= kMostElements)) {
    diagnostics->Error(item + ".tokens_times_width",
                       absl::StrCat("is ", proto.tokens_times_width(), ", expected 0 to 1e18"));
  }
  return {.queries = CheckedInt(proto.queries(), 1, kMaxSide, item + ".queries", diagnostics),
          .keys = CheckedInt(proto.keys(), 1, kMaxSide, item + ".keys", diagnostics),
          .heads = static_cast<double>(
              CheckedInt(proto.heads(), 0, 1 << 20, item + ".heads", diagnostics)),
          .tokens_times_width = proto.tokens_times_width()};
}

// `kernel`, or "" if it is none that a plan can name.
std::string CheckedKernel(const std::string& kernel, const std::string& item,
                          Diagnostics* diagnostics) {
  const bool known = std::find(kAttentionKernels.begin(), kAttentionKernels.end(), kernel) !=
                     kAttentionKernels.end();
  if (kernel.empty() || known) return kernel;
  diagnostics->Error(item + ".kernel",
                     absl::StrCat("is \"", kernel, "\", expected ",
                                  absl::StrJoin(kAttentionKernels, ", "), " or none"));
  return "";
}

}  // namespace

void LoadAttention(const v1::ComputeCalibration& proto, const std::string& field,
                   Diagnostics* diagnostics, ComputeCalibration* calibration) {
  for (int i = 0; i < proto.attention_size(); ++i) {
    const v1::AttentionCalibration& a = proto.attention(i);
    const std::string item = Item(field, "attention", i);
    const std::string kernel = CheckedKernel(a.kernel(), item, diagnostics);
    std::vector<AttentionCalibration>& points =
        kernel.empty() ? calibration->attention : calibration->attention_by_kernel[kernel];
    points.push_back(
        {CheckedInt(a.head_dim(), 1, 1 << 16, item + ".head_dim", diagnostics), a.causal(),
         a.backward(),
         CheckedInt(a.sequence_length(), 1, 1 << 30, item + ".sequence_length", diagnostics),
         CheckedFraction(a.peak_fraction(), item + ".peak_fraction", diagnostics),
         static_cast<double>(CheckedInt(a.heads(), 0, 1 << 20, item + ".heads", diagnostics))});
  }
  for (int i = 0; i < proto.attention_tiles_size(); ++i) {
    const std::string item = Item(field, "attention_tiles", i);
    const AttentionTiles tiles = LoadTiles(proto.attention_tiles(i), item, diagnostics);
    const std::string kernel = CheckedKernel(proto.attention_tiles(i).kernel(), item, diagnostics);
    if (!calibration->tiles_by_kernel.emplace(kernel, tiles).second) {
      diagnostics->Error(item + ".kernel", "is \"" + kernel + "\" a second time");
    }
    if (kernel.empty()) calibration->attention_tiles = tiles;
  }
  for (int i = 0; i < proto.attention_blocks_size(); ++i) {
    const v1::AttentionBlocks& blocks = proto.attention_blocks(i);
    const std::string item = Item(field, "attention_blocks", i);
    const AttentionBlocks loaded = LoadBlocks(blocks, item, diagnostics);
    const std::string kernel = CheckedKernel(blocks.kernel(), item, diagnostics);
    if (!calibration->blocks_by_kernel.emplace(kernel, loaded).second) {
      diagnostics->Error(item + ".kernel", "is \"" + kernel + "\" a second time");
    }
    if (kernel.empty()) calibration->attention_blocks = loaded;
  }
}

}  // namespace meshstep
