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
  /// How images were prepared for the network, where the dialect tells.
  var preprocessing: Preprocessing?
  var notes: [String]

  /// Leaves the classifier alone, for a new one takes its place.
  mutating func dropHead() {
    for index in meanings.indices {
      if case .parameter(let name, _) = meanings[index], name.hasPrefix("classifier.") {
        meanings[index] = .notUsed(reason: "classifier, which --head new replaces")
      }
    }
  }
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

  /// The shape in the file's order of a tensor that has `shape` in ours; `shape` itself where the rank does not fit.
  func fileShape(_ shape: Shape) -> Shape {
    guard let axes = axes(rank: shape.rank) else { return shape }
    var extents = shape.extents
    for (axis, place) in axes.enumerated() { extents[place] = shape[axis] }
    return Shape(extents)
  }

  /// The values, brought to our order.
  func values(_ tensor: HostTensor) -> [Float] {
    let values = tensor.floats()
    guard axes(rank: tensor.shape.rank) != nil else { return values }
    switch self {
    case .standard: return values
    case .inputOutput:
      return Self.transposed(values, blocks: 1, rows: tensor.shape[0], columns: tensor.shape[1])
    case .heightWidthInputOutput:
      return Self.transposed(
        values, blocks: tensor.shape[0] * tensor.shape[1], rows: tensor.shape[2], columns: tensor.shape[3])
    }
  }

  /// The tensor for a file of which `values(_:)` gives `values`, which have `shape` in our order.
  func tensor(_ values: [Float], shape: Shape) -> HostTensor {
    guard axes(rank: shape.rank) != nil else { return HostTensor(values, shape: shape) }
    let ordered =
      switch self {
      case .standard: values
      case .inputOutput: Self.transposed(values, blocks: 1, rows: shape[0], columns: shape[1])
      case .heightWidthInputOutput:
        Self.transposed(values, blocks: shape[0], rows: shape[1], columns: shape[2] * shape[3])
      }
    return HostTensor(ordered, shape: fileShape(shape))
  }

  /// Of `blocks` matrices [rows, columns], one behind the other, the array [columns, rows, blocks].
  private static func transposed(_ values: [Float], blocks: Int, rows: Int, columns: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: values.count) { output, count in
      values.withUnsafeBufferPointer { input in
        for column in 0..<columns {
          for row in 0..<rows {
            let target = (column * rows + row) * blocks
            for block in 0..<blocks { output[target + block] = input[(block * rows + row) * columns + column] }
          }
        }
      }
      count = values.count
    }
  }
}
