import Tensors
import WeightFormats

/// What a dialect says about the tensors of a file, in torchvision's words.
struct Translation {
  enum Meaning: Equatable {
    /// The parameter of this name, if the network has it.
    case parameter(String, TensorOrder)
    case notUsed(reason: String)
    case unknown
  }

  /// Whose names the tensors have, for people.
  var dialect: String
  /// What was taken off the front of the names.
  var prefix: [String]
  /// One for each entry of the file.
  var meanings: [Meaning]
  var batchNormEpsilon: Double
  var batchNormMomentum: Double
  var hasFinalReLU: Bool
  var notes: [String]
}

/// The order of a tensor's axes in a file.
enum TensorOrder {
  /// PyTorch's: [K, C, R, S], [L, C].
  case standard
  /// Keras' for convolutions: [R, S, C, K].
  case heightWidthInputOutput
  /// Keras' for dense layers: [C, L].
  case inputOutput

  /// For each axis of ours the file's; nil where the rank does not fit.
  private func axes(rank: Int) -> [Int]? {
    switch self {
    case .standard: Array(0..<rank)
    case .heightWidthInputOutput: rank == 4 ? [3, 2, 0, 1] : nil
    case .inputOutput: rank == 2 ? [1, 0] : nil
    }
  }

  /// The shape in our order. A tensor of another rank keeps its own, and then fits no parameter.
  func shape(_ shape: Shape) -> Shape {
    guard let axes = axes(rank: shape.rank) else { return shape }
    return Shape(axes.map { shape[$0] })
  }

  /// The values, brought to our order.
  func values(_ tensor: HostTensor) -> [Float] {
    let values = tensor.floats()
    guard self != .standard, let axes = axes(rank: tensor.shape.rank) else { return values }
    var strides = [Int](repeating: 1, count: axes.count)
    for axis in (0..<axes.count - 1).reversed() { strides[axis] = strides[axis + 1] * tensor.shape[axis + 1] }
    let shape = shape(tensor.shape)
    return (0..<shape.count).map { index in
      var rest = index
      var place = 0
      for axis in (0..<axes.count).reversed() {
        place += rest % shape[axis] * strides[axes[axis]]
        rest /= shape[axis]
      }
      return values[place]
    }
  }
}
