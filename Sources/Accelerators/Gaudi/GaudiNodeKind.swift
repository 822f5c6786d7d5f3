import CSynapse

/// What nodes are used for: each row of the table says how a node is written, and who says so.
///
/// Sources:
///   [record] HabanaAI/Intel_Gaudi3_Software, synapse/tests/gc_tests/platform_tests/gaudi_tests/auto_generated/resnet50_full_fwd_bwd_bf16_autogen_test.cpp
///            (and its float32 sibling): a step of ResNet-50 as a framework once asked for it, node by node
///   [bridge] HabanaAI/gaudi-pytorch-bridge 1.19: the file that makes the node for PyTorch
enum GaudiNodeKind: CaseIterable {
  case castToBF16, castToFloat, castBytes
  case convolution, convolutionInputGradient, convolutionWeightGradient
  case normalization, normalizationGradient, fixedNormalization
  case rectifier, rectifierGradient
  case maximumPool, maximumPoolGradient, averagePool, averagePoolGradient
  case concatenation, split, reshape
  case sum, difference, product, quotient, squareRoot, sigmoid
  case reduction, matrixProduct

  /// What may stand at an input or output.
  enum Slot {
    /// A: what the guid ends with.
    case activation
    case float, bf16, byte
    /// Where maxima are: 16 bits beside bf16, 8 beside floats.
    case position
    /// bf16 or float.
    case either
    /// Nothing, or either.
    case optional

    func allows(_ element: GaudiElement?, _ activation: GaudiElement) -> Bool {
      switch self {
      case .activation: element == activation
      case .float: element == .float
      case .bf16: element == .bf16
      case .byte: element == .byte
      case .position: element == (activation == .bf16 ? .int16 : .byte)
      case .either: element == .bf16 || element == .float
      case .optional: element == nil || element == .bf16 || element == .float
      }
    }
  }

  /// A number of slots; the last may stand for any number more.
  struct Slots {
    let slots: [Slot]
    let isOpen: Bool

    func allows(_ elements: [GaudiElement?], _ activation: GaudiElement) -> Bool {
      guard isOpen ? elements.count >= slots.count : elements.count == slots.count else { return false }
      return elements.enumerated().allSatisfy { slots[min($0, slots.count - 1)].allows($1, activation) }
    }
  }

  struct Rule {
    /// Without what it ends with.
    let guid: String
    /// Whether A follows.
    let hasSuffix: Bool
    let inputs: Slots
    let outputs: Slots
    let parameterBytes: Int
    let source: String
  }

  /// `batch_norm_fwd_bf16`.
  func guid(_ element: GaudiElement) -> String { rule.hasSuffix ? "\(rule.guid)_\(element.suffix)" : rule.guid }

  var rule: Rule {
    func row(
      _ guid: String, _ inputs: [Slot], _ outputs: [Slot], bytes parameters: Int = 0, suffix: Bool = true,
      open: Bool = false, _ source: String
    ) -> Rule {
      Rule(
        guid: guid, hasSuffix: suffix, inputs: Slots(slots: inputs, isOpen: open && inputs.count > 1),
        outputs: Slots(slots: outputs, isOpen: open && outputs.count > 1), parameterBytes: parameters, source: source)
    }
    let cast = MemoryLayout<synapse_cast>.size
    let convolution = MemoryLayout<synapse_convolution>.size
    let normalization = MemoryLayout<synapse_normalization>.size
    let fixedNormalization = MemoryLayout<synapse_fixed_normalization>.size
    let maximumPool = MemoryLayout<synapse_maximum_pool>.size
    let averagePool = MemoryLayout<synapse_average_pool>.size
    let casts = "[bridge] habana_kernels/kernel_utils.cpp"
    let elementwise = "[bridge] habana_kernels/binary_kernels.h, unary_kernels.h"
    return switch self {
    case .castToBF16: row("cast_f32_to_bf16", [.float], [.bf16], bytes: cast, suffix: false, casts)
    case .castToFloat: row("cast_bf16_to_f32", [.bf16], [.float], bytes: cast, suffix: false, casts)
    case .castBytes: row("cast_u8_to_f32", [.byte], [.float], bytes: cast, suffix: false, casts)
    // x, w, bias, what is added.
    case .convolution:
      row(
        "spatial_convolution", [.either, .either, .optional, .optional], [.either], bytes: convolution, suffix: false,
        "[record]")
    // dy, w.
    case .convolutionInputGradient:
      row("dedx", [.either, .either], [.either], bytes: convolution, suffix: false, "[record]")
    // dy, x; the gradient in float.
    case .convolutionWeightGradient:
      row("dedw", [.either, .either], [.float], bytes: convolution, suffix: false, "[record]")
    // x, β, γ, running mean and variance; y, the batch's mean, 1/√(variance + ε).
    case .normalization:
      row(
        "batch_norm_fwd", [.activation, .float, .float, .float, .float], [.activation, .float, .float],
        bytes: normalization,
        "[record]; the parameters of [bridge] habana_kernels/norm_kernels.cpp")
    // x, dy, mean, 1/√(variance + ε), γ; dx, dβ, dγ.
    case .normalizationGradient:
      row(
        "batch_norm_bwd", [.activation, .activation, .float, .float, .float], [.activation, .float, .float],
        bytes: normalization, "[record]; the parameters of [bridge] habana_kernels/norm_kernels.cpp")
    // x, β, γ, mean, variance.
    case .fixedNormalization:
      row(
        "batch_norm_inf", [.activation, .float, .float, .float, .float], [.activation], bytes: fixedNormalization,
        "[bridge] habana_kernels/norm_kernels.cpp, BatchNormInfOperator; lazy_kernels.cpp has the order")
    case .rectifier: row("relu_fwd", [.activation], [.activation], "[record]")
    // dy, y.
    case .rectifierGradient: row("relu_bwd", [.activation, .activation], [.activation], "[record]")
    // Where the maxima are, y.
    case .maximumPool: row("maxpool_2d_fwd", [.activation], [.position, .activation], bytes: maximumPool, "[record]")
    case .maximumPoolGradient:
      row("maxpool_2d_bwd", [.activation, .position], [.activation], bytes: maximumPool, "[record]")
    case .averagePool: row("avg_pool_2d_fwd", [.activation], [.activation], bytes: averagePool, "[record]")
    case .averagePoolGradient: row("avg_pool_2d_bwd", [.activation], [.activation], bytes: averagePool, "[record]")
    case .concatenation:
      row(
        "concat", [.either, .either], [.either], bytes: MemoryLayout<synapse_axis>.size, suffix: false, open: true,
        "[bridge] habana_kernels/tensor_shape_kernels.cpp")
    case .split:
      row(
        "split", [.either], [.either, .either], bytes: MemoryLayout<synapse_axis>.size, suffix: false, open: true,
        "[bridge] hpu_ops/backend/split_gen.cpp")
    case .reshape: row("reshape", [.either], [.either], suffix: false, "[record]")
    case .sum: row("add_fwd", [.activation, .activation], [.activation], "[record]")
    case .difference: row("sub_fwd", [.activation, .activation], [.activation], elementwise)
    case .product:
      row(
        "mult_fwd", [.activation, .activation], [.activation],
        "[bridge] hpu_ops/backend/optimizer_adamw_gen.cpp")
    case .quotient: row("div_fwd", [.activation, .activation], [.activation], elementwise)
    case .squareRoot: row("sqrt_fwd", [.activation], [.activation], elementwise)
    case .sigmoid: row("sigmoid_fwd", [.activation], [.activation], "[bridge] hpu_ops/backend/sigmoid_gen.cpp")
    // The size becomes 1.
    case .reduction:
      row(
        "reduce_sum_fwd", [.activation], [.activation], bytes: MemoryLayout<synapse_reduction>.size,
        "[record]; [bridge] habana_kernels/reduction_kernels.cpp")
    // (K, M) and (N, K), or transposed, make (N, M).
    case .matrixProduct:
      row(
        "gemm", [.either, .either], [.either], bytes: MemoryLayout<synapse_gemm>.size, suffix: false,
        "[bridge] habana_kernels/linear_kernels.cpp")
    }
  }
}
