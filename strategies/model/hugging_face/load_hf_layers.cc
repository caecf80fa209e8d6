// What differs from layer to layer: windows, routed experts, dense layers.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "meshstep/v1/model.pb.h"
#include "strategies/model/hugging_face/hf_layers.h"
#include "strategies/model/hugging_face/load_hf_model.h"

namespace meshstep {
namespace {

using Where = HfFamily::Windows::Where;

}  // namespace

// 0: no layer has one.
int HfImporter::WindowSize() {
  const bool used = Bool({"use_sliding_window"}, family_.windows.where != Where::kIfUsed);
  if (!used) {
    Find({"sliding_window", "sliding_window_pattern", "max_window_layers"});
    return 0;
  }
  // An explicit null means no window, as does -1; an absent key the default.
  const bool is_null = text_.contains("sliding_window") && text_["sliding_window"].is_null();
  // A window that the family does not read stays unread unless a list says which layers have it.
  if (family_.windows.where == Where::kNever && !Has({"layer_types"}) &&
      !Has({"sliding_window_size"})) {
    return 0;
  }
  const auto size = Int({"sliding_window", "sliding_window_size", "window_size"}, -1, kMaxWide);
  return std::max(0, is_null ? 0 : size.value_or(family_.windows.size));
}

std::vector<bool> HfImporter::LayersByType(const std::vector<std::string>& types) {
  std::vector<bool> full;
  for (const std::string& name : types) {
    const bool windowed = name == "sliding_attention" || name == "local";
    if (!windowed && name != "full_attention" && name != "chunked_attention" &&
        name != "attention" && name != "global") {
      Problem("layer_types", absl::StrCat("has ", Shown(name), ", expected \"full_attention\", ",
                                          "\"sliding_attention\" or \"chunked_attention\""));
      return {};
    }
    full.push_back(!windowed);
  }
  if (static_cast<int>(full.size()) == out_.layers()) return full;
  Problem("layer_types", absl::StrCat("has ", full.size(), " entries, expected one for each of ",
                                      out_.layers(), " layers"));
  return {};
}

// Per layer: whether it has no window; empty if nothing says.
std::vector<bool> HfImporter::FullLayers() {
  // MiniMax: 1 is softmax attention.
  if (const auto kinds = Ints({"attn_type_list"}); kinds && !kinds->empty()) {
    if (std::ranges::count(*kinds, 1) != std::ssize(*kinds)) {
      Problem("attn_type_list", "has layers of linear attention, expected softmax attention");
    }
  }
  int period = family_.windows.period;
  std::string key;
  const Json* pattern = Find({"sliding_window_pattern", "global_attn_every_n_layers",
                              "global_attn_every_n", "_sliding_window_pattern"},
                             &key);
  if (const auto types = Texts({"layer_types", "attention_layers"}); types && !types->empty()) {
    return LayersByType(*types);
  }
  if (pattern != nullptr && pattern->is_string()) {
    // EXAONE: "LLLG".
    const std::string text = pattern->get<std::string>();
    if (text.empty() || text.find_first_not_of("LG") != std::string::npos) {
      Problem(key, absl::StrCat("is ", Shown(*pattern), ", expected letters L and G"));
      return {};
    }
    std::vector<bool> full;
    for (int i = 0; i < out_.layers(); ++i) {
      full.push_back(text[static_cast<std::size_t>(i) % text.size()] == 'G');
    }
    return full;
  } else if (pattern != nullptr) {
    period = Int({"sliding_window_pattern", "global_attn_every_n_layers", "global_attn_every_n",
                  "_sliding_window_pattern"},
                 1, kMaxLayers)
                 .value_or(period);
  }
  if (period == 0) return {};
  std::vector<bool> full;
  // GPT-Neo's first layer is global, not its second.
  const int shift = type_ == "gpt_neo" ? 1 : 0;
  for (int i = 0; i < out_.layers(); ++i) full.push_back((i + shift) % period == period - 1);
  return full;
}

void HfImporter::Windows() {
  Find({"attention_types"});
  const int window = WindowSize();
  std::vector<bool> full = FullLayers();
  if (window == 0) return;
  if (family_.windows.where == Where::kIfUsed && full.empty()) {
    const int first = Int({"max_window_layers"}, 0, kMaxLayers).value_or(28);
    if (first >= out_.layers()) return;
    if (first > 0) {
      full.assign(static_cast<std::size_t>(out_.layers()), false);
      std::fill_n(full.begin(), first, true);
    }
  }
  Find({"max_window_layers"});
  if (!full.empty() && std::ranges::find(full, false) == full.end()) return;
  if (!Has({"sliding_window", "sliding_window_size", "window_size"})) {
    Assume(absl::StrCat("sliding_window is absent: ", window, ", the default of ", type_));
  }
  const std::optional<WindowOrder> order =
      full.empty() ? WindowOrder{.period = 0, .exact = true} : OrderOfWindows(full);
  if (!order || !order->exact) {
    full_ = full;
    return;
  }
  out_.set_sliding_window(window);
  if (order->period > 0) out_.set_global_layer_period(order->period);
}

bool HfImporter::CountExperts(int* count) {
  std::string key;
  const Keys keys = {"n_routed_experts", "num_local_experts", "num_experts",
                     "moe_num_experts",  "num_moe_experts",   "ffn_config.moe_num_experts"};
  Find(keys, &key);
  *count = Int(keys, 0, kMaxExperts).value_or(0);
  if (family_.experts == HfFamily::Experts::kNone && *count > 1) {
    Problem(key, absl::StrCat("is ", *count, ", but ", type_, " has no experts"));
  }
  if (family_.experts == HfFamily::Experts::kNeeded && *count == 0) {
    Problem(key, "is absent, expected the number of routed experts");
  }
  return family_.experts != HfFamily::Experts::kNone && *count > 0;
}

void HfImporter::Experts() {
  int count = 0;
  if (!CountExperts(&count)) return;
  v1::Moe* moe = out_.mutable_moe();
  moe->set_experts(count);
  moe->set_experts_per_token(
      Needed({"num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_top_k",
              "moe_topk", "moe_k", "top_k_experts", "ffn_config.moe_top_k"},
             1, count, 0, "number of experts that a token uses"));
  const auto own = Int({"moe_intermediate_size", "expert_intermediate_size"}, 1, kMaxWide);
  moe->set_expert_ffn(own ? *own
                          : Needed({"intermediate_size", "ffn_config.ffn_hidden_size"}, 1, kMaxWide,
                                   0, "width of an expert"));
  // MiniMax M2 writes the width of a dense MLP that no layer has.
  if (type_ == "minimax_m2") Find({"mlp_intermediate_size"});
  moe->set_latent(Int({"moe_latent_size", "routed_expert_hidden_size"}, 0, kMaxWidth).value_or(0));
  SharedExperts(moe);
  Routing(moe);
  // Where mixers differ the order of the kinds says which are dense.
  if (family_.mixers != HfFamily::Mixers::kNone) return;
  if (family_.shapes != HfFamily::Shapes::kOne || !full_.empty()) return;
  DenseLayers(moe);
  // Without a dense layer intermediate_size is of nothing.
  if (moe->dense_layers() == 0 && moe->layer_period() <= 1) out_.clear_ffn();
}

void HfImporter::SharedExperts(v1::Moe* moe) {
  const auto width = Int({"shared_expert_intermediate_size", "shared_intermediate_size",
                          "share_expert_dim", "share_expert_dims"},
                         0, kMaxWide);
  const auto count =
      Int({"n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts"},
          0, kMaxExperts);
  const auto each = Int({"moe_shared_expert_intermediate_size"}, 0, kMaxWide);
  if (!Bool({"use_mixed_mlp_moe"}, true)) return;
  if (width && *width > 0) {
    moe->set_shared_experts(1);
    moe->set_shared_expert_ffn(*width);
  } else if (count && *count > 0) {
    moe->set_shared_experts(*count);
    moe->set_shared_expert_ffn(each && *each > 0 ? *each : moe->expert_ffn());
  }
  if (family_.shared_expert) {
    moe->set_shared_experts(1);
    moe->set_shared_expert_ffn(moe->expert_ffn());
  }
  moe->set_shared_expert_gate(family_.shared_gate && moe->shared_experts() > 0);
  if (family_.beside == HfFamily::Beside::kNothing ||
      !Bool({"residual_moe", "use_residual"}, Bool({"parallel_attn_mlp_res"}, false))) {
    return;
  }
  moe->set_shared_experts(1);
  moe->set_shared_expert_ffn(family_.beside == HfFamily::Beside::kFfn ? out_.ffn() : out_.hidden());
  Assume("the dense MLP beside the experts is said as a shared expert of its width");
}

void HfImporter::Routing(v1::Moe* moe) {
  const std::string method = Text({"topk_method"});
  moe->set_router_bias(Bool({"use_routing_bias", "moe_router_enable_expert_bias", "use_expert_bias",
                             "moe_use_aux_free", "router_bias", "use_moe_router_bias"},
                            family_.router_bias));
  const int groups = Int({"n_group"}, 0, kMaxExperts).value_or(0);
  if (groups <= 1 || method == "greedy") {
    Find({"topk_group"});
    return;
  }
  moe->set_groups(groups);
  moe->set_groups_per_token(Int({"topk_group"}, 0, groups).value_or(groups));
}

// Per layer: whether its MLP is routed.
std::vector<bool> HfImporter::RoutedLayers() {
  const int layers = out_.layers();
  std::vector<bool> routed(static_cast<std::size_t>(layers), true);
  const auto each = [&](auto keep) {
    for (int i = 0; i < layers; ++i) {
      routed[static_cast<std::size_t>(i)] = routed[static_cast<std::size_t>(i)] && keep(i);
    }
  };
  const int first = Int({"first_k_dense_replace", "num_dense_layers", "moe_layer_start_index",
                         "moe_layer_num_skipped"},
                        0, layers)
                        .value_or(0);
  const int last = Int({"moe_layer_end_index"}, -1, layers).value_or(-1);
  each([&](int i) { return i >= first && (last < 0 || i <= last); });
  // Qwen, Llama 4, ERNIE, Arctic: the last layer of each group; DeepSeek: the first.
  const int step = Int({"decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval",
                        "moe_layer_frequency"},
                       1, kMaxLayers)
                       .value_or(1);
  each([&](int i) { return (i + 1) % step == 0; });
  const Json* frequency = Find({"moe_layer_freq"});
  if (frequency != nullptr && !frequency->is_array()) {
    const int every = Int({"moe_layer_freq"}, 1, kMaxLayers).value_or(1);
    each([&](int i) { return i % every == 0; });
  }
  // MiMo, EXAONE: 1 for a routed layer.
  for (const char* key : {"moe_layer_freq", "is_moe_layer"}) {
    const auto flags = Ints({key});
    if (!flags) continue;
    if (static_cast<int>(flags->size()) != layers) {
      Problem(key, absl::StrCat("has ", flags->size(), " entries, expected one for each of ",
                                layers, " layers"));
      continue;
    }
    each([&](int i) { return (*flags)[static_cast<std::size_t>(i)] != 0; });
  }
  const auto holds = [](const std::vector<int>& list, int i) {
    return std::ranges::find(list, i) != list.end();
  };
  if (const auto dense = Ints({"mlp_only_layers"})) each([&](int i) { return !holds(*dense, i); });
  if (const auto only = Ints({"moe_layers"})) each([&](int i) { return holds(*only, i); });
  if (const auto types = Texts({"mlp_layer_types"});
      types && static_cast<int>(types->size()) == layers) {
    each([&](int i) { return (*types)[static_cast<std::size_t>(i)] != "dense"; });
  }
  return routed;
}

void HfImporter::DenseLayers(v1::Moe* moe) {
  const std::vector<bool> routed = RoutedLayers();
  const auto dense = std::ranges::count(routed, false);
  if (dense == std::ssize(routed)) {
    Problem("first_k_dense_replace", "leaves no layer with routed experts");
    return;
  }
  const RoutedOrder order = OrderOfRouted(routed);
  moe->set_dense_layers(order.dense);
  if (order.period > 1) moe->set_layer_period(order.period);
  if (!order.exact) {
    Assume(absl::StrCat(dense, " of ", routed.size(),
                        " layers are dense: as many of the first are taken"));
  }
}

}  // namespace meshstep
