// Attention that differs between layers with a window and without, as kinds of layers.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/index.h"
#include "strategies/model/hugging_face/load_hf_model.h"

namespace meshstep {
namespace {

using Family = HfFamily::Shapes;

}  // namespace

// modeling_llama4.py: layers without rotary positions attend to all, the others within chunks.
std::vector<bool> HfImporter::FullLayersOfLlama4() {
  const int layers = out_.layers();
  std::vector<bool> full;
  const auto rotary = Ints({"no_rope_layers"});
  const int interval = Int({"no_rope_layer_interval"}, 1, kMaxLayers).value_or(4);
  const auto types = Texts({"layer_types"});
  if (types && !types->empty()) {
    full = LayersByType(*types);
    if (std::ssize(full) != layers) return full;
    for (int i = 0; i < layers; ++i) full[Index(i)] = (*types)[Index(i)] == "full_attention";
    return full;
  }
  if (rotary && !rotary->empty() && std::ssize(*rotary) != layers) {
    Problem("no_rope_layers", absl::StrCat("has ", rotary->size(), " entries, expected one for ",
                                           "each of ", layers, " layers"));
    return full;
  }
  for (int i = 0; i < layers; ++i) {
    full.push_back(rotary && !rotary->empty() ? (*rotary)[Index(i)] == 0 : (i + 1) % interval == 0);
  }
  return full;
}

std::vector<bool> HfImporter::FullLayersOfShapes() {
  const int layers = out_.layers();
  if (family_.shapes == Family::kOne) return full_;
  if (family_.shapes == Family::kLlama4) return FullLayersOfLlama4();
  std::vector<bool> full;
  if (family_.shapes == Family::kMimo) {
    const auto windowed = Ints({"hybrid_layer_pattern"});
    if (!windowed || std::ssize(*windowed) != layers) {
      Problem("hybrid_layer_pattern",
              absl::StrCat("has ", windowed ? windowed->size() : 0,
                           " entries, expected one for each of ", layers, " layers"));
      return full;
    }
    for (const int w : *windowed) full.push_back(w == 0);
    return full;
  }
  const int period = Int({"global_attn_every_n_layers", "sliding_window_pattern"}, 1, kMaxLayers)
                         .value_or(family_.windows.period);
  std::vector<std::string> types = Texts({"layer_types"}).value_or(std::vector<std::string>());
  // Step's list goes on with the layers of multi-token prediction.
  if (family_.shapes == Family::kStep && std::ssize(types) > layers) types.resize(Index(layers));
  if (!types.empty()) return LayersByType(types);
  if (family_.shapes == Family::kStep) {
    Problem("layer_types", "is absent, expected the type of attention of each layer");
    return full;
  }
  // configuration_gemma4.py, configuration_afmoe.py: one in so many; for Gemma the last too.
  for (int i = 0; i < layers; ++i) {
    const bool last = i == layers - 1 && family_.shapes == Family::kGemma4;
    full.push_back((i + 1) % period == 0 || last);
  }
  return full;
}

std::vector<bool> HfImporter::RoutedLayersOfShapes() {
  if (!out_.has_moe()) return std::vector<bool>(Index(out_.layers()), false);
  if (family_.shapes != Family::kStep) return RoutedLayers();
  // configuration_step3p5.py: "3,4,5", or a list.
  std::vector<bool> routed(Index(out_.layers()), false);
  std::vector<int> numbers = Ints({"moe_layers_enum"}).value_or(std::vector<int>());
  for (const auto part : absl::StrSplit(Text({"moe_layers_enum"}), ',', absl::SkipWhitespace())) {
    int number = -1;
    if (!absl::SimpleAtoi(part, &number)) {
      Problem("moe_layers_enum", absl::StrCat("has ", Shown(std::string(part)),
                                              ", expected numbers of layers with commas"));
      return routed;
    }
    numbers.push_back(number);
  }
  for (const int i : numbers) {
    if (i >= 0 && i < out_.layers()) routed[Index(i)] = true;
  }
  return routed;
}

// Gemma 4: layers of full attention have larger heads, whose values are the keys.
void HfImporter::SetGemma4(bool full, v1::LayerKind* kind) {
  if (!full) return;
  kind->set_head_dim(Int({"global_head_dim"}, 1, kMaxWidth).value_or(512));
  kind->set_kv_heads(Int({"num_global_key_value_heads"}, 1, kMaxWidth).value_or(out_.kv_heads()));
  kind->set_keys_as_values(Bool({"attention_k_eq_v"}, false));
}

void HfImporter::SetMimo(bool full, v1::LayerKind* kind) {
  kind->set_attention_sinks(full ? Bool({"add_full_attention_sink_bias"}, false)
                                 : Bool({"add_swa_attention_sink_bias"}, true));
  if (full) return;
  kind->set_heads(Int({"swa_num_attention_heads"}, 1, kMaxWidth).value_or(out_.heads()));
  kind->set_kv_heads(Int({"swa_num_key_value_heads"}, 1, kMaxWidth).value_or(out_.kv_heads()));
  kind->set_head_dim(Int({"swa_head_dim"}, 1, kMaxWidth).value_or(out_.head_dim()));
  const int value = out_.has_v_head_dim() ? out_.v_head_dim() : out_.head_dim();
  kind->set_v_head_dim(Int({"swa_v_head_dim"}, 1, kMaxWidth).value_or(value));
}

void HfImporter::SetStep(bool full, v1::LayerKind* kind) {
  if (full) return;
  kind->set_heads(
      Int({"attention_other_setting.num_attention_heads"}, 1, kMaxWidth).value_or(out_.heads()));
  kind->set_kv_heads(Int({"attention_other_setting.num_attention_groups"}, 1, kMaxWidth)
                         .value_or(out_.kv_heads()));
  kind->set_head_dim(
      Int({"attention_other_setting.head_dim"}, 1, kMaxWidth).value_or(out_.head_dim()));
}

void HfImporter::SetShape(bool full, v1::LayerKind* kind) {
  switch (family_.shapes) {
    case Family::kOne:
    case Family::kCompressed:
      return;
    case Family::kAfmoe:
      if (full) kind->set_rotary(false);
      return;
    case Family::kLlama4:
      if (full) {
        kind->set_rotary(false);
      } else if (const auto chunk = Int({"attention_chunk_size"}, 1, kMaxWide)) {
        kind->set_attention_chunk(*chunk);
      }
      return;
    case Family::kGemma4:
      return SetGemma4(full, kind);
    case Family::kMimo:
      return SetMimo(full, kind);
    case Family::kStep:
      return SetStep(full, kind);
  }
}

// What belongs to the whole model.
void HfImporter::ReadShapeOptions() {
  switch (family_.shapes) {
    case Family::kOne:
    case Family::kCompressed:
    case Family::kLlama4:
      return;
    case Family::kAfmoe:
      out_.set_attention_gate(true);
      Find({"num_expert_groups", "num_limited_groups", "score_func", "mup_enabled", "route_norm",
            "route_scale"});
      return;
    case Family::kGemma4: {
      if (Text({"use_bidirectional_attention"}) == "all") out_.set_bidirectional(true);
      Find({"enable_moe_block", "vocab_size_per_layer_input"});
      if (!out_.has_moe()) return;
      out_.mutable_moe()->set_shared_experts(1);
      out_.mutable_moe()->set_shared_expert_ffn(out_.ffn());
      out_.clear_ffn();
      Assume(
          "the dense MLP beside the experts is said as a shared expert of its width; "
          "three norms of it and the experts are left out");
      return;
    }
    case Family::kMimo:
      Find({"attention_chunk_size", "attention_projection_layout"});
      return;
    case Family::kStep:
      out_.set_attention_head_gate(Bool({"use_head_wise_attn_gate"}, true));
      Find({"attention_other_setting.attention_type", "attention_other_setting.true_head_dim",
            "use_rope_layers", "yarn_only_types", "share_expert_dim", "zero_centered",
            "moe_every_n_layer", "moe_layer_offset", "norm_expert_weight", "mtp_layer_types",
            "moe_router_activation", "need_fp32_gate"});
      if (out_.mtp_layers() == 0) return;
      out_.set_mtp_layers(0);
      Assume("num_nextn_predict_layers: left out, as those layers have no experts");
      return;
  }
}

void HfImporter::Shapes() {
  const int window = WindowSize();
  const std::vector<bool> full = FullLayersOfShapes();
  const std::vector<bool> routed = RoutedLayersOfShapes();
  if (std::ssize(full) != out_.layers() || std::ssize(routed) != out_.layers()) return;
  ReadShapeOptions();
  std::map<std::pair<bool, bool>, char> symbols;
  std::string pattern;
  for (std::size_t i = 0; i < full.size(); ++i) {
    const char next = static_cast<char>('A' + symbols.size());
    const auto [it, added] = symbols.emplace(std::pair(full[i], routed[i]), next);
    pattern.push_back(it->second);
    if (!added) continue;
    v1::LayerKind* kind = out_.add_layer_kinds();
    kind->set_symbol(std::string(1, next));
    kind->set_mlp(routed[i] ? v1::LayerKind::ROUTED : v1::LayerKind::DENSE);
    if (!full[i] && window > 0) kind->set_sliding_window(window);
    SetShape(full[i], kind);
  }
  out_.set_layer_pattern(pattern);
}

}  // namespace meshstep
