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

  /// A tensor of the file as float32, brought to our order.
  func standardized(_ tensor: HostTensor) -> HostTensor {
    let tensor = tensor.elementType == .float32 ? tensor : HostTensor(tensor.floats(), shape: tensor.shape)
    guard axes(rank: tensor.shape.rank) != nil else { return tensor }
    switch self {
    case .standard: return tensor
    case .inputOutput:
      return Self.transposed(tensor, blocks: 1, rows: tensor.shape[0], columns: tensor.shape[1], shape(tensor.shape))
    case .heightWidthInputOutput:
      return Self.transposed(
        tensor, blocks: tensor.shape[0] * tensor.shape[1], rows: tensor.shape[2], columns: tensor.shape[3],
        shape(tensor.shape))
    }
  }

  /// The tensor for a file of which `standardized` gives `tensor`, a float32.
  func filed(_ tensor: HostTensor) -> HostTensor {
    let shape = tensor.shape
    guard axes(rank: shape.rank) != nil else { return tensor }
    switch self {
    case .standard: return tensor
    case .inputOutput:
      return Self.transposed(tensor, blocks: 1, rows: shape[0], columns: shape[1], fileShape(shape))
    case .heightWidthInputOutput:
      return Self.transposed(
        tensor, blocks: shape[0], rows: shape[1], columns: shape[2] * shape[3], fileShape(shape))
    }
  }

  /// Of `blocks` matrices [rows, columns] of float32, one behind the other, the array [columns, rows, blocks].
  private static func transposed(
    _ tensor: HostTensor, blocks: Int, rows: Int, columns: Int, _ shape: Shape
  ) -> HostTensor {
    precondition(tensor.elementType == .float32 && tensor.shape.count == blocks * rows * columns)
    let bytes = [UInt8](unsafeUninitializedCapacity: tensor.bytes.count) { output, count in
      tensor.bytes.withUnsafeBytes { input in
        // Whole words are moved as they are, in tiles: the lines of the cache that one reads and writes are met again soon.
        let source = input.assumingMemoryBound(to: UInt32.self)
        let target = UnsafeMutableRawBufferPointer(output).assumingMemoryBound(to: UInt32.self)
        for firstColumn in stride(from: 0, to: columns, by: tile) {
          for firstRow in stride(from: 0, to: rows, by: tile) {
            for column in firstColumn..<min(columns, firstColumn + tile) {
              for block in 0..<blocks {
                var from = (block * rows + firstRow) * columns + column
                var to = (column * rows + firstRow) * blocks + block
                for _ in firstRow..<min(rows, firstRow + tile) {
                  target[to] = source[from]
                  from &+= columns
                  to &+= blocks
                }
              }
            }
          }
        }
      }
      count = tensor.bytes.count
    }
    return HostTensor(elementType: .float32, shape: shape, bytes: bytes)
  }

  /// Numbers of a line of the cache.
  private static let tile = 16
}
