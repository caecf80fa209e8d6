// DeepSeek-V4 (configuration_deepseek_v4.py): how many positions an entry of each layer's keys stands
// for, by layer_types and compress_rates or, in older files, by compress_ratios.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/index.h"
#include "strategies/model/hugging_face/load_hf_model.h"

namespace meshstep {
namespace {

constexpr char kWindow = 'W', kSparse = 'C', kHeavy = 'H';
constexpr const char* kTypes[] = {"sliding_attention", "compressed_sparse_attention",
                                  "heavily_compressed_attention"};

}  // namespace

// Per layer; 0: the window alone. A list may go on with the layers of multi-token prediction.
std::vector<int> HfImporter::CompressionRates(int sparse, int heavy) {
  const int layers = out_.layers();
  std::vector<int> rates;
  const auto types = Texts({"layer_types"});
  const auto ratios = Ints({"compress_ratios"});
  if (types && !types->empty()) {
    for (const std::string& type : *types) {
      const auto* const at = std::ranges::find(kTypes, type);
      if (at == std::end(kTypes)) {
        Problem("layer_types", absl::StrCat("has ", Shown(type), ", expected ", kTypes[0], ", ",
                                            kTypes[1], " or ", kTypes[2]));
        return {};
      }
      rates.push_back(at == kTypes ? 0 : at == kTypes + 1 ? sparse : heavy);
    }
  } else if (ratios && !ratios->empty()) {
    for (const int ratio : *ratios) rates.push_back(ratio <= 1 ? 0 : ratio);
  } else {
    // Two layers of the one, then the other and it in turn.
    for (int i = 0; i < layers; ++i) rates.push_back(i < 2 || i % 2 == 0 ? heavy : sparse);
    rates.resize(Index(layers));
  }
  if (std::ssize(rates) < layers) {
    Problem(types ? "layer_types" : "compress_ratios",
            absl::StrCat("has ", rates.size(), " entries, expected one for each of ", layers,
                         " layers"));
    return {};
  }
  rates.resize(Index(layers));
  return rates;
}

void HfImporter::ReadCompressed() {
  v1::CompressedAttention* compressed = out_.mutable_compressed();
  compressed->set_q_lora_rank(
      Needed({"q_lora_rank"}, 1, kMaxWidth, 0, "rank of the query compression"));
  compressed->set_output_groups(
      Needed({"o_groups"}, 1, kMaxWidth, 0, "groups of heads of the output projection"));
  compressed->set_output_rank(
      Needed({"o_lora_rank"}, 1, kMaxWidth, 0, "width that it makes of each group"));
  out_.set_sliding_window(
      Needed({"sliding_window"}, 1, kMaxWide, 0, "positions of the window of attention"));
  const int streams = Int({"hc_mult"}, 1, 64).value_or(4);
  if (streams > 1) out_.set_residual_streams(streams);
  Find({"hc_sinkhorn_iters", "hc_eps", "partial_rotary_factor"});
  Assume(absl::StrCat("the weights that join ", streams,
                      " residual streams after the last layer are left out"));
  const bool listed = Has({"mlp_layer_types"});
  if (listed || Int({"num_hash_layers"}, 0, kMaxLayers).value_or(0) > 0) {
    Find({"num_hash_layers"});
    Assume("layers that take a token's experts from a table route as the others do");
  }
}

void HfImporter::AddCompressedKind(char symbol, int rate, bool sparse) {
  v1::LayerKind* kind = out_.add_layer_kinds();
  kind->set_symbol(std::string(1, symbol));
  if (rate == 0) return;
  kind->mutable_compressed()->set_rate(rate);
  kind->mutable_compressed()->set_overlap(sparse);
  if (!sparse) return;
  v1::Indexer* indexer = kind->mutable_indexer();
  indexer->set_heads(Needed({"index_n_heads"}, 1, kMaxWidth, 0, "number of heads of the indexer"));
  indexer->set_head_dim(Needed({"index_head_dim"}, 1, kMaxWidth, 0, "size of a head of it"));
  indexer->set_top_k(Needed({"index_topk"}, 1, kMaxWide, 0, "number of entries that it chooses"));
}

void HfImporter::CompressedLayers() {
  const int sparse =
      Int({"compress_rates.compressed_sparse_attention", "compress_rate_csa"}, 1, kMaxWidth)
          .value_or(4);
  const int heavy =
      Int({"compress_rates.heavily_compressed_attention", "compress_rate_hca"}, 1, kMaxWidth)
          .value_or(128);
  Find({"compress_rates"});
  ReadCompressed();
  std::string pattern;
  for (const int rate : CompressionRates(sparse, heavy)) {
    if (rate != 0 && rate != sparse && rate != heavy) {
      Problem("compress_ratios",
              absl::StrCat("has ", rate, ", expected 0, ", sparse, " or ", heavy));
      return;
    }
    const char symbol = rate == 0 ? kWindow : rate == sparse ? kSparse : kHeavy;
    if (pattern.find(symbol) == std::string::npos) {
      AddCompressedKind(symbol, rate, symbol == kSparse);
    }
    pattern.push_back(symbol);
  }
  Find({"index_n_heads", "index_head_dim", "index_topk"});
  out_.set_layer_pattern(pattern);
}

}  // namespace meshstep
