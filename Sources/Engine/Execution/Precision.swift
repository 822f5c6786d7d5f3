/// What activations are stored in. Statistics, the gradients that a block gathers, weight gradients and the weights that are trained are fp32
/// in either.
public enum Precision: String, Sendable, CaseIterable {
  case fp32
  /// The upper half of a float: its range, with 8 bits of precision. Half of the memory, and products two at a time where the processor
  /// has AVX512_BF16.
  case bf16
}
