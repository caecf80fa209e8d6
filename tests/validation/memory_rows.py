"""Rows about memory in the columns of training_runs.csv.

memory_runs.csv holds Megatron-LM's own tests with their arguments and mem_max_allocated_bytes, what
PyTorch's allocator handed out at most on the last rank: tensors, rounded up to 512 bytes, but neither
the allocator's cache, nor the context of the driver, nor NCCL's buffers. The last rank is of the last
pipeline stage. memory_published.csv holds parts of the memory of the models of arXiv 2205.05198
(figure 1). Rows of training_runs.csv may give mem_gib; mem_kind says what was measured.
"""

# Columns that say what was measured of memory.
MEASURED = {'peak_bytes': 'measured.peak_bytes', 'last_bytes': 'measured.last_stage_peak_bytes',
            'activations_bytes': 'measured.activations_bytes', 'state_bytes': 'measured.state_bytes',
            'counts': 'measured.memory'}

# Arguments of Megatron-LM under the names of training_runs.csv.
RENAMED = {'num_layers': 'layers', 'hidden_size': 'hidden', 'num_attention_heads': 'heads',
           'num_query_groups': 'kv_heads', 'seq_length': 'seq', 'micro_batch_size': 'mbs',
           'global_batch_size': 'gbs', 'tensor_model_parallel_size': 'tp',
           'pipeline_model_parallel_size': 'pp', 'context_parallel_size': 'cp',
           'expert_model_parallel_size': 'ep', 'vocab_size': 'vocab', 'num_experts': 'experts',
           'moe_router_topk': 'topk', 'mem_max_allocated_bytes': 'last_bytes'}

# Tokens of what the tests' tokenizers read: Llama 2's, and nemotron_2_256k (--tokenizer-model of
# their model_config.yaml).
VOCABULARIES = {'Llama2Tokenizer': '32000', 'GPTSentencePieceTokenizer': '256000'}

CHIPS = {'a100': 'A100-80GB', 'h100': 'H100-80GB'}

# arXiv 2205.05198 table 3: layers, hidden, heads, global batch, chunks of a stage (section 6).
PUBLISHED = {'22B': (48, 6144, 64, 4, 1), '175B': (96, 12288, 96, 64, 3),
             '530B': (105, 20480, 128, 280, 3), '1T': (128, 25600, 160, 512, 1)}

GIB = 1024 ** 3


def _int(row, column, unset):
    text = row.get(column) or ''
    return int(text) if text.isdigit() and int(text) > 0 else unset


def _virtual_stages(row):
    """Chunks of a stage, from either way that Megatron-LM says it."""
    layers = _int(row, 'num_layers_per_virtual_pipeline_stage', 0)
    if layers == 0:
        return _int(row, 'num_virtual_stages_per_pipeline_rank', 1)
    return _int(row, 'num_layers', 1) // _int(row, 'pipeline_model_parallel_size', 1) // layers


def _workspace(row):
    """cuBLAS keeps more in deterministic tests. Tests that may be nondeterministic set no
    CUBLAS_WORKSPACE_CONFIG in their model_config.yaml; the names say it, but for two kinds."""
    loose = ('nondeterministic', 'cross_entropy_loss_fusion', 'reshard_8x1xNone')
    name = 'loose' if any(words in row['test'] for words in loose) else 'deterministic'
    return name, row['transformer_impl'] != 'local'


# Bytes that libraries hold: cuBLAS's for each of two threads, 32 MiB on compute capability 9.0 and
# 8.125 MiB elsewhere (pytorch/pytorch aten/src/ATen/cuda/CublasHandlePool.cpp), with
# CUBLAS_WORKSPACE_CONFIG=:4096:8 32 MiB; Transformer Engine's, 4 MiB before compute capability 9 and
# 32 MiB from it on (NVIDIA/TransformerEngine pytorch/module/base.py).
def _workspace_bytes(row):
    kind, engine = _workspace(row)
    hopper, ampere = row['hardware'] == 'h100', row['hardware'] == 'a100'
    blas = 67108864 if kind == 'deterministic' or hopper else 17039360
    return blas + ((4194304 if ampere else 33554432) if engine else 0)


def _ffn(row):
    """Two thirds of 4 hidden sizes in whole 64s where the MLP is gated (Megatron-LM
    megatron/training/arguments.py)."""
    given = row['ffn_hidden_size']
    if given or row['swiglu'] != 'true':
        return given
    return str(4 * _int(row, 'hidden_size', 1) * 2 // 3 // 64 * 64)


def _chips(row, expert_tensor):
    """Tests run on 8 GPUs unless their degrees need more: a node of DGX or two trays of GB200, of
    which "1node" takes one (NVIDIA GB200 NVL72: 4 GPUs per tray)."""
    least = 4 if row['hardware'] == 'gb200' and '_1node' in row['test'] else 8
    stages = _int(row, 'pipeline_model_parallel_size', 1)
    product = (_int(row, 'tensor_model_parallel_size', 1) * stages *
               _int(row, 'context_parallel_size', 1))
    chips = max(least, product, _int(row, 'expert_model_parallel_size', 1) * expert_tensor * stages)
    return chips, product


def _of_test(row):
    run = {to: row[column] for column, to in RENAMED.items()}
    # Where they are not given, experts are as wide as the MLP and as tensor parallelism (Megatron-LM
    # megatron/training/arguments.py).
    expert_tensor = _int(row, 'expert_tensor_parallel_size',
                         _int(row, 'tensor_model_parallel_size', 1))
    chips, product = _chips(row, expert_tensor)
    run['id'] = '%s %s %s' % (row['test'], row['hardware'], row['channel'])
    run['family'] = 'megatron-memory-' + row['test'].split('/')[0]
    run['source'], run['source_ref'] = '', row['source_ref']
    run['chip'] = CHIPS.get(row['hardware'], 'GB200')
    run['chips'], run['dp'] = str(chips), str(chips // product)
    run['vp'] = str(_virtual_stages(row))
    run['gated'] = '1' if row['swiglu'] == 'true' else '0'
    run['seq_parallel'] = 'on' if row['sequence_parallel'] == 'true' else 'off'
    run['recompute'] = row['recompute_granularity'] or 'none'
    run['dp_sharding'] = ('FSDP' if row['use_megatron_fsdp'] == 'true' else
                          'distributed optimizer (ZeRO-1)'
                          if row['use_distributed_optimizer'] == 'true' else 'plain DP')
    run['options'] = 'plan.kernels.library_workspace_bytes=%d' % _workspace_bytes(row)
    run['overlap'] = ('DP grad overlap' if row['overlap_grad_reduce'] == 'true'
                      else 'no grad-reduce overlap')
    run['precision'] = 'fp16' if row['fp16'] == 'true' else 'bf16'
    if row['fp8_format']:
        run['precision'] = 'FP8 ' + row['fp8_format']
    if row['untie_embeddings_and_output_weights'] == 'true':
        run['embeddings'] = 'untied'
    if 'cross_entropy_loss_fusion' in row['test']:
        run['loss'] = 'megatron-compiled'
    if row['attention_backend'] == 'unfused' or row['transformer_impl'] == 'local':
        run['attention_kernel'] = 'unfused'
    ffn = _ffn(row)
    if ffn:
        run['ffn'] = ffn
    if row['tokenizer_type'] in VOCABULARIES:
        run['vocab'] = VOCABULARIES[row['tokenizer_type']]
    if _int(row, 'num_experts', 1) > 1:
        run['moe_ffn'] = ffn or str(4 * _int(row, 'hidden_size', 1))
        # --moe-ffn-hidden-size in their model_config.yaml (NVIDIA/Megatron-LM@d98e8a6).
        if 'gpt3_moe_mcore_te' in row['test']:
            run['moe_ffn'] = '1024'
        run['caveats'] = 'expert TP=%d' % expert_tensor
    if row['multi_latent_attention'] == 'true':
        run['attn'] = 'MLA of sizes that the table does not give'
    return run


def _of_published(row):
    what = row['what']
    run = {'id': '%s %s %s' % (row['family'], row['model'], what), 'family': row['family'],
           'chip': 'A100-80GB', 'tp': row['tp'], 'pp': row['pp'], 'mbs': row['mbs'],
           'chips': str(_int(row, 'tp', 1) * _int(row, 'pp', 1)), 'seq': '2048', 'vocab': '51200',
           'source': 'arXiv 2205.05198', 'source_ref': row['source'],
           'seq_parallel': 'on' if 'sequence parallel' in what else 'off',
           'recompute': 'selective' if 'selective' in what else 'none',
           'precision': 'fp16 (fp32 main grads)'}
    if row['model'] in PUBLISHED:
        names = ('layers', 'hidden', 'heads', 'gbs', 'vp')
        run.update(zip(names, (str(n) for n in PUBLISHED[row['model']])))
    if row['unit'] == 'GiB':
        column = ('activations_bytes' if what.startswith('activations') else
                  'state_bytes' if what.startswith('params+optimizer') else 'peak_bytes')
        run[column] = str(round(float(row['value']) * GIB))
    return run


def _of_run(row):
    """GiB unless mem_kind says GB."""
    run, kind = dict(row), row.get('mem_kind') or ''
    try:
        amount = float(row.get('mem_gib') or 0)
    except ValueError:
        amount = 0
    if amount <= 0:
        return run
    decimal = 'GB' in kind and 'GiB' not in kind
    run['peak_bytes'] = str(round(amount * (1e9 if decimal else GIB)))
    run['counts'] = ('reserved' if 'reserved over ranks' in kind else
                     'nvidia-smi' if 'nvidia-smi' in kind else
                     'out of memory' if 'OOM' in kind else
                     'model state and activations' if 'Fig.1' in kind else 'allocated')
    return run


def as_runs(table):
    """Any raw table in the columns of training_runs.csv."""
    if not table or 'mem_max_allocated_bytes' in table[0]:
        return [_of_test(row) for row in table]
    if 'what' in table[0]:
        return [_of_published(row) for row in table]
    return [_of_run(row) for row in table]
