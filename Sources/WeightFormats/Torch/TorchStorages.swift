import Foundation
import Platform
import Synchronization
import Tensors

/// The blocks of bytes that the tensors of a PyTorch file view, by key; for several threads at once.
protocol TorchStorages: AnyObject {
  /// The whole block of `key`.
  func block(_ key: String) throws(WeightFault) -> [UInt8]

  /// The bytes in `range` of the block of `key`, which has them; whether the whole block is sound is checked once.
  func part(_ range: Range<Int>, of key: String) throws(WeightFault) -> [UInt8]
}

/// Reads tensors out of storages: each storage once where tensors that share one follow each other, and none that no wanted
/// tensor views.
final class TorchSource: TensorSource {
  /// Blocks over this many bytes (all parameters of a network in one, say) are read in the parts that tensors view.
  private static let blockLimit = 4 << 20
  /// Bytes that may be read beyond those of the tensors: of storages of which little is wanted, or that are read again.
  private static let excessLimit = 1 << 30

  private let storages: any TorchStorages
  private let leaves: [TorchTree.Leaf]
  private let isBigEndian: Bool
  private let allowsUnknownGlobals: Bool
  /// Storages that several tensors view.
  private let shared: Set<String>
  /// Held while the block that was read last is asked for, or replaced.
  private let latestLock = NSLock()
  private var latest: (key: String, bytes: [UInt8])?
  private let excess = Atomic(0)

  init(
    storages: any TorchStorages, leaves: [TorchTree.Leaf], isBigEndian: Bool = false, allowsUnknownGlobals: Bool
  ) {
    self.storages = storages
    self.leaves = leaves
    self.isBigEndian = isBigEndian
    self.allowsUnknownGlobals = allowsUnknownGlobals
    var seen = Set<String>()
    shared = Set(leaves.map(\.tensor.storage.key).filter { !seen.insert($0).inserted })
  }

  func tensor(at index: Int) throws(WeightFault) -> HostTensor {
    let leaf = leaves[index]
    if let global = leaf.unknownGlobal, !allowsUnknownGlobals {
      throw .pickle(.throughUnknownGlobal(tensor: leaf.name, global: global))
    }
    let tensor = leaf.tensor
    let key = tensor.storage.key
    if tensor.storage.blockByteCount > Self.blockLimit {
      latestLock.withLock { latest = nil }
      try count(tensor.reach.count, for: tensor)
      let bytes = try storages.part(tensor.reach, of: key)
      return tensor.gather(from: bytes, startingAt: tensor.reach.lowerBound, isBigEndian: isBigEndian)
    }
    let block = shared.contains(key) ? try sharedBlock(key, for: tensor) : try block(key, for: tensor)
    return tensor.gather(from: block, startingAt: 0, isBigEndian: isBigEndian)
  }

  private func block(_ key: String, for tensor: PickleTensor) throws(WeightFault) -> [UInt8] {
    try count(tensor.storage.blockByteCount, for: tensor)
    return try storages.block(key)
  }

  /// A block that is kept for the next tensor; threads that want it, or another, wait for each other.
  private func sharedBlock(_ key: String, for tensor: PickleTensor) throws(WeightFault) -> [UInt8] {
    latestLock.lock()
    defer { latestLock.unlock() }
    if let latest, latest.key == key { return latest.bytes }
    latest = nil
    let bytes = try block(key, for: tensor)
    latest = (key, bytes)
    return bytes
  }

  /// Counts `bytes` that will be read for `tensor`.
  private func count(_ bytes: Int, for tensor: PickleTensor) throws(WeightFault) {
    // Neither overflows: the file has the bytes, or the archive allows to inflate them.
    let more = max(0, bytes - tensor.shape.count * tensor.elementType.size)
    guard excess.add(more, ordering: .relaxed).newValue <= Self.excessLimit else {
      throw .torch(.readTooOften(limit: Self.excessLimit))
    }
  }
}

extension PickleTensor {
  /// The bytes of its storage's block that it has elements in.
  var reach: Range<Int> {
    guard shape.count > 0 else { return 0..<0 }
    let last = zip(shape.extents, strides).reduce(offset) { $0 + ($1.0 - 1) * $1.1 }
    let start = storage.range.lowerBound * storage.elementSize
    return start + offset * elementType.size..<start + (last + 1) * elementType.size
  }

  /// The elements of the view, brought to C order and little-endian. `bytes`: the block from its byte `start` on.
  fileprivate func gather(from bytes: [UInt8], startingAt start: Int, isBigEndian: Bool) -> HostTensor {
    let size = elementType.size
    var gathered: [UInt8] = []
    let first = reach.lowerBound - start
    if shape.count == 0 {
      // Its offset and strides mean nothing, and may lie anywhere.
    } else if isContiguous {
      gathered =
        first == 0 && bytes.count == shape.count * size ? bytes : Array(bytes[first..<first + shape.count * size])
    } else {
      gathered.reserveCapacity(shape.count * size)
      // Axes of one element have strides that mean nothing either.
      let axes = (0..<shape.rank).filter { shape[$0] > 1 }
      var index = [Int](repeating: 0, count: shape.rank)
      var place = 0
      for _ in 0..<shape.count {
        gathered += bytes[first + place * size..<first + (place + 1) * size]
        // Counts up like an odometer, the last axis fastest.
        for axis in axes.reversed() {
          index[axis] += 1
          place += strides[axis]
          if index[axis] < shape[axis] { break }
          place -= strides[axis] * shape[axis]
          index[axis] = 0
        }
      }
    }
    if isBigEndian, size > 1 {
      for start in stride(from: 0, to: gathered.count, by: size) { gathered[start..<start + size].reverse() }
    }
    return HostTensor(elementType: elementType, shape: shape, bytes: gathered)
  }

  private var isContiguous: Bool {
    var expected = 1
    for axis in (0..<shape.rank).reversed() where shape[axis] != 1 {
      if strides[axis] != expected { return false }
      expected *= shape[axis]
    }
    return true
  }
}
