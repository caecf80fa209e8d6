"""The plan of a measured run: its framework, degrees, and what the source states of formats,
recomputation, overlap and kernels. Everything else is the framework's."""

import re

from run_row import NotExpressed, number_in

# Number format of the matmuls and what shares a scale, of the words of a row; the first that
# matches. FP8 without more words is scaled as the framework does. "Tensorwise" is what
# Megatron-Core (--fp8-recipe) and torchao call scales that each tensor takes from itself. AQT's
# config_v3, which MaxText takes for int8, calibrates each operand of all three products by channel
# (google/aqt aqt/jax/v2/config.py; maxtext quantizations.py, _get_int8_quant_config).
FORMATS = (('nvfp4', 'fp4', 'nvfp4'), ('mxfp8', 'fp8', 'mx'), ('fp8-mx', 'fp8', 'mx'),
           ('fp8-cs', 'fp8', 'current'), ('tensorwise', 'fp8', 'current'), ('float8', 'fp8', ''),
           ('fp8 mixed', 'fp8', 'block'), ('fp8 (delayed scaling)', 'fp8', 'tensor'),
           ('fp8', 'fp8', ''), ('(aqt)', 'int8', 'channel'),
           ('int8', 'int8', ''), ('fp16', 'fp16', ''), ('', 'bf16', ''))

# The first pattern found in the row's words gives the policy.
POLICIES = (
    (r'^$|^none|^selective \[\]', 'none'),
    # torchtitan wraps every second layer (selective_ac_option "2", the default of
    # config_manager.py); as much work as half of the layers at the front.
    (r'per 2nd layer|selective \(layer\)', 'every second'),
    # torchtitan's option "op" (train_configs/llama3_8b.toml).
    (r'torchtitan default option|per-op|llama3_8b\.toml default', 'alternate'),
    # MaxText keeps matmuls, all or all but one or two of a layer.
    (r'minimal|save_dot|matmuls', 'matmuls'),
    # MaxText policies that keep or offload a layer's input and some of its products (KEPT); the
    # others run again.
    (r'^custom|offloaded|save_.*out_proj', 'full'),
    (r'full', 'full'),
    # Megatron-Core recompute_modules, by the table below.
    (r'(^|[^a-z_])(mlp|moe)([^a-z_]|$)|norm|act([^a-z]|$)|mla_up_proj|mla up-proj', 'modules'),
    # Megatron's core attention: nothing where the kernel is flash.
    (r'selective', 'selective'),
)
MODULES = (('norm', 'layernorm'), ('core_attn', 'core_attn'),
           ('mla_up_proj|mla up-proj', 'mla_up_proj'), (r'(^|[^a-z_])mlp([^a-z_]|$)', 'mlp'),
           (r'(^|[^a-z])act([^a-z]|$)', 'moe_act'), (r'(^|[^a-z_])moe([^a-z_]|$)', 'moe'))
# Products that MaxText's and praxis's policies keep or offload, by the words of a row (MaxText
# remat_policy qkv_proj_offloaded and custom; praxis SAVE_QKV_OUT_PROJ).
KEPT = ((r'(^|[,/ ])q,k,v([,/ ]|$)|q/k/v proj|qkv_proj|save_qkv', 'qkv'),
        (r'(^|[, ])context([, ]|$)', 'attention'), (r'out/q/k/v|out_proj', 'attention_out'),
        (r'mlpwo([,; ]|$)', 'mlp_out'))

# Parts of a layer that the row says CUDA graphs hold: Megatron-Core's cuda_graph_scope, and the
# words of MLPerf's and Megatron-MoE-ModelZoo's rows.
GRAPHS = (('"attn"', 'attention'), ('"mlp"', 'mlp'), ('"moe_router"', 'router'),
          ('cuda graphs per layer', 'attention'), ('cuda graphs per layer', 'mlp'),
          ('cuda graphs (attn, router', 'attention'), ('cuda graphs (attn, router', 'router'))


def fsdp_group(row, dp, cp):
    """Devices that FSDP shards over, of `dp`; 1 if it does not."""
    # "FSDP2" and "FSDP1" name PyTorch's second and first, not a group of so many.
    text = re.sub('fsdp[12]( |$)', r'fsdp\1', row.for_model('dp_sharding').lower())
    # That a table has no column for it does not say that it was used.
    text = text.replace('fsdp column absent', '')
    if 'zero-2' in text or 'zero2' in text or ('fsdp' not in text and 'zero-3' not in text):
        return 1
    for pattern in ('fsdp=?([0-9]+)(?: |$)', 'fsdp=([0-9]+)', 'fsdp ([0-9]+)', 'group ([0-9]+)',
                    'shard=([0-9]+)', 'zero-3 over ([0-9]+)', r'dp\*cp=([0-9]+)', ' dp=([0-9]+)'):
        group = number_in(text, pattern)
        # Ranks of context parallelism shard parameters too; some sources count them.
        if group > dp and group % cp == 0:
            return group // cp
        if group > 0:
            return group
    return dp


def layout_of(row, parts):
    """A part's share of the layers, as the row says; where there are two parts more than layers,
    embedding and head take the place of a layer each (arXiv 2407.21783 section 3.3.2; Megatron-LM
    account-for-embedding-in-pipeline-split). "": spread evenly, or as the framework does."""
    match = re.search('pipeline_model_parallel_layout=(E[^;_ ]*L)', row.get('overlap'))
    if match:
        return match[1]
    if parts < 3 or row.count('layers') + 2 != parts:
        return ''
    return 'E|(t*1|)*%dL' % (parts - 2)


def virtual_stages(row, stages):
    """Parts of the layers that one stage runs in turn. Where the source says that pipeline messages
    overlap, the schedule is interleaved, the only one in which Megatron-Core overlaps them
    (arguments.py: overlap_p2p_comm): a part for every layer, as NVIDIA's recipe of GPT-3 175B says
    of its own ("set to maximum": NeMo-Framework-Launcher conf/training/gpt3/175b.yaml)."""
    if stages <= 1:
        return 1
    given, layers = row.count('vp'), row.count('layers')
    overlaps = row.says('overlap', 'PP overlaps on') or row.says('overlap', 'P2P overlap')
    if given > 0 or not overlaps or layers % stages != 0:
        return max(given, 1)
    return layers // stages


def set_pipeline(row, fields):
    stages = fields.get('plan.pipeline', 1)
    parts = virtual_stages(row, stages)
    if parts > 1:
        fields['plan.virtual_stages'] = parts
        fields['plan.schedule'] = 'interleaved'
    layout = layout_of(row, stages * parts)
    if layout:
        fields['plan.layout'] = layout


def set_expert_degrees(row, fields):
    """Ranks that share the experts, and one expert: "expert TP=4" among what the source adds."""
    if not row.has_experts():
        return
    expert = row.count('ep', 1)
    # A table that prints no EP beside a dispatcher between ranks leaves it to the configuration.
    if expert <= 1 and 'experts.ep=all' in row.get('options'):
        expert = fields.get('plan.data', 1) * fields.get('plan.fsdp', 1)
    if expert > 1:
        fields['plan.expert'] = expert
    width = number_in(row.get('caveats'), 'expert TP=([0-9]+)')
    if width > 0:
        fields['plan.expert_tensor'] = width
    match = re.search('capacity_factor ([0-9.]+)', row.get('caveats'))
    if match:
        fields['plan.capacity_factor'] = float(match[1].rstrip('.'))


def micro_batch(row, ranks):
    """Sequences of a micro-batch. Where the source of a pipelined row does not say, its framework may
    have a default number of micro-batches: "pipeline" is the degree of that."""
    pp = row.count('pp', 1)
    assumed = row.says('caveats', 'microbatch 1 assumed')
    if pp == 1 or not assumed or row.get('micro_batches') != 'pipeline':
        return row.count('mbs', 1)
    return max(1, row.count('gbs', 1) // (ranks * pp))


def set_degrees(row, devices, fields):
    tp, pp, cp = row.count('tp', 1), row.count('pp', 1), row.count('cp', 1)
    if devices % (tp * pp * cp) != 0:
        raise NotExpressed('%d devices do not divide by tp %d, pp %d and cp %d' %
                           (devices, tp, pp, cp))
    dp = row.count('dp', devices // (tp * pp * cp))
    fsdp = fsdp_group(row, dp, cp)
    any_degree = row.count('tp') + row.count('pp') + row.count('dp') + row.count('ep') > 0
    if not any_degree and fsdp == 1 and devices > 1:
        raise NotExpressed('no degree of parallelism is given')
    if dp % fsdp != 0:
        raise NotExpressed('dp %d does not divide by an FSDP group of %d' % (dp, fsdp))
    for field, degree in (('tensor', tp), ('pipeline', pp), ('data', dp // fsdp), ('fsdp', fsdp),
                          ('context', cp)):
        if degree > 1:
            fields['plan.' + field] = degree
    if cp > 1 and row.says('overlap', 'CP all-to-all'):
        fields['plan.context_method'] = 'ulysses'
    if fsdp == 1 and row.get('dp_sharding'):
        zero2 = row.says('dp_sharding', 'zero-2')
        zero1 = row.says('dp_sharding', 'zero-1') or row.says('dp_sharding', 'distributed opt')
        fields['plan.zero_stage'] = 2 if zero2 else 1 if zero1 else 0
    set_pipeline(row, fields)
    set_expert_degrees(row, fields)
    if tp > 1 and row.get('seq_parallel'):
        fields['plan.sequence_parallel'] = row.get('seq_parallel').startswith('on')
    fields['plan.micro_batch_sequences'] = micro_batch(row, dp)


def offloaded(row, text):
    """The part of what layers keep that is in the memory of the host: of so many layers, or MaxText's
    input of a layer and its products by name, or query, key and value alone."""
    layers = number_in(text, '([0-9]+) of [0-9]+ layers offloaded')
    if layers > 0:
        return layers / number_in(text, 'of ([0-9]+) layers offloaded')
    if 'offload decoder_layer_input' in text:
        return 1
    if 'qkv_proj_offloaded' in text:
        heads = row.count('heads') + 2 * row.count('kv_heads', row.count('heads'))
        qkv = heads * row.count('head_dim', row.count('hidden') // max(1, row.count('heads')))
        return qkv / (qkv + row.count('hidden'))
    return 0


def set_recompute(row, fields):
    text = row.for_model('recompute').lower().split(' [recipe')[0]
    policy = next((name for pattern, name in POLICIES if re.search(pattern, text)), None)
    if policy is None:
        raise NotExpressed('recompute "%s" is not known' % row.get('recompute'))
    if offloaded(row, text) > 0:
        fields['plan.offload.activations'] = round(offloaded(row, text), 4)
    if policy == 'none':
        return
    layers = number_in(text, 'block ([0-9]+) layers')
    if policy == 'every second':
        policy, layers = 'full', row.count('layers') // row.count('pp', 1) // 2
    # By the name that the framework gives it (strategies/frameworks/maxtext.textproto).
    named = re.search('save_dot_except_[a-z0-9_]+', text)
    fields['plan.recompute'] = named[0] if named else policy
    if policy == 'modules':
        fields['plan.recompute_modules'] = [name for pattern, name in MODULES
                                            if re.search(pattern, text)]
    kept = sorted({op for pattern, op in KEPT if re.search(pattern, text)})
    if kept:
        fields['plan.recompute_keep'] = kept
    if layers > 0:
        fields['plan.recompute_layers'] = layers


def format_of(text):
    # "bf16/fp16 mixed" and the like: what comes first.
    return FORMATS[-1] if text.startswith('bf16/') else next(f for f in FORMATS if f[0] in text)


def set_precision(row, fields):
    text = row.get('precision').lower()
    _, compute, scaling = format_of(text)
    if not scaling and compute == format_of(row.default('precision').lower())[1]:
        scaling = format_of(row.default('precision').lower())[2]
    if compute != 'bf16':
        fields['plan.precision.compute'] = compute
    if scaling:
        fields['plan.precision.scaling'] = scaling
    if any(wide in text for wide in
           ('(fp32 grads)', '(fp32 main grads)', 'fp32 grad accumulation')):
        fields['plan.precision.gradients'] = 'fp32'
    if 'grad accumulation fp16' in text:
        fields['plan.precision.gradients'] = 'fp16'
    if row.says('overlap', 'grad_reduce bf16'):
        fields['plan.precision.reduce'] = 'bf16'
    # "NVFP4 (last 14 layers BF16)"
    last = number_in(text, 'last ([0-9]+) layers bf16')
    if last > 0:
        fields['plan.layer_ranges[0].layers'] = '-%d..-1' % last
        fields['plan.layer_ranges[0].compute'] = 'bf16'


def set_overlap(row, fields):
    # Gradients reduce after backward and not beside it.
    if any(row.says('overlap', words) for words in
           ('no grad-reduce overlap', 'no gradient bucketing', 'none for dp', 'none stated',
            'none (2022)')):
        fields['plan.overlap_gradients'] = False
    # Updated parameters are gathered beside the next forward, or not.
    if fields.get('plan.fsdp', 1) == 1:
        if any(row.says('overlap', words)
               for words in ('overlap_param_gather=false', 'no grad-reduce overlap')):
            fields['plan.overlap_parameters'] = False
        elif any(row.says('overlap', words)
                 for words in ('grad/param overlap', 'param-gather', 'zero comm overlap')):
            fields['plan.overlap_parameters'] = True
    # Collectives of tensor parallelism run in parts beside the matmuls: Transformer Engine's
    # userbuffers, PyTorch's async tensor parallelism.
    if fields.get('plan.tensor', 1) > 1 and fields.get('plan.sequence_parallel', True):
        if any(row.says('overlap', words) for words in
               ('tp_comm_overlap=false', 'tp comm overlap off')):
            fields['plan.async_tensor'] = False
        elif any(row.says('overlap', words) for words in
                 ('userbuffers', 'tp comm overlap', 'tp-comm-overlap', 'async tp')):
            fields['plan.async_tensor'] = True
    # arXiv 2104.04473 section 4.1.
    if (row.says('overlap', 'scatter/gather pipeline') and fields.get('plan.pipeline', 1) > 1 and
            fields.get('plan.tensor', 1) > 1):
        fields['plan.split_sends'] = True


def set_launches(row, fields):
    """CUDA graphs; one that holds the whole step launches nothing."""
    if row.says('overlap', 'cuda_graph_impl=none'):
        return
    if row.says('overlap', 'full_iteration') or row.says('overlap', 'full cuda graph'):
        fields['plan.kernels.launches'] = 'none'
        return
    graphs = [part for words, part in GRAPHS if row.says('overlap', words)]
    if graphs:
        fields['plan.kernels.graphs'] = graphs


def set_expert_overlap(row, fields):
    for words, dispatcher in (('hybridep', 'hybridep'), ('deepep', 'deepep'),
                              ('dispatcher_type=alltoall', 'all-to-all')):
        if row.says('overlap', words):
            fields['plan.expert_dispatch'] = dispatcher
            break
    # Transformer Engine's grouped MLP in one kernel (NVTE_CUTEDSL_FUSED_GROUPED_MLP).
    if row.says('overlap', 'fused grouped mlp'):
        fields['plan.kernels.experts'] = 'fused'
    if row.says('overlap', 'dualpipe'):
        fields['plan.schedule'] = 'dualpipe'
    # Megatron-Core pairs micro-batches without a pipeline, or with virtual stages.
    pairs = fields.get('plan.pipeline', 1) <= 1 or 'plan.schedule' in fields
    overlaps = any(row.says('overlap', words) for words in
                   ('overlap_moe_expert_parallel_comm=True', '1f1b a2a overlap', 'dualpipe'))
    if row.says('overlap', 'no 1f1b a2a overlap'):
        fields['plan.overlap_experts'] = False
    elif overlaps and pairs:
        fields['plan.overlap_experts'] = True


def framework_of(row):
    """With the release of a row whose source names a container ("'26.04.01 NeMo Container'")."""
    name = row.default('framework')
    release = re.search(r"'([0-9]{2}\.[0-9]{2})[0-9.]* NeMo Container", row.get('source_ref'))
    if release:
        name = name.split('@')[0] + '@' + release[1]
    if row.says('overlap', 'torch.compile') and name == 'torchtitan':
        name = 'torchtitan-compiled'
    return name


def set_plan(row, devices, fields):
    fields['plan.framework'] = framework_of(row)
    set_degrees(row, devices, fields)
    set_recompute(row, fields)
    set_precision(row, fields)
    if row.flag('dropout'):
        fields['plan.dropout'] = True
    if row.get('attention_kernel'):
        fields['plan.attention_kernel'] = row.get('attention_kernel')
    if row.get('loss'):
        fields['plan.kernels.loss'] = row.get('loss')
    set_overlap(row, fields)
    set_launches(row, fields)
    if row.has_experts():
        set_expert_overlap(row, fields)
