import CKernels

extension Precision {
  var kernels: ck_precision {
    switch self {
    case .fp32: CK_FP32
    case .bf16: CK_BF16
    }
  }

  /// Bytes of a value.
  public var size: Int {
    switch self {
    case .fp32: MemoryLayout<Float>.size
    case .bf16: MemoryLayout<ck_bf16>.size
    }
  }

  /// Values that a product takes at once (a word of 32 bits).
  var valuesOfWord: Int { MemoryLayout<Float>.size / size }
}

/// An array of a precision's values.
struct Activations {
  let base: UnsafeMutableRawPointer
  let precision: Precision

  /// The value `index`.
  @inline(__always)
  func at(_ index: Int) -> UnsafeMutableRawPointer { base + index * precision.size }

  @inline(__always)
  static func + (array: Activations, index: Int) -> Activations {
    Activations(base: array.at(index), precision: array.precision)
  }
}

/// Activations of slabs: slab after slab, each a run of pixels.
struct SlabMap {
  let base: UnsafeMutableRawPointer
  /// Pixels of a slab.
  let pixels: Int
  let precision: Precision

  /// Bytes of a pixel.
  @inline(__always)
  var pixelSize: Int { ChannelSlabs.lanes * precision.size }

  /// The pixel `pixel` of slab `slab`.
  @inline(__always)
  func at(_ slab: Int, pixel: Int = 0) -> UnsafeMutableRawPointer { base + (slab * pixels + pixel) * pixelSize }
}

/// Gradients of slabs, which layers add to: slab after slab, each a run of pixels, in float.
struct GradientMap {
  let base: UnsafeMutablePointer<Float>
  /// Pixels of a slab.
  let pixels: Int

  @inline(__always)
  func at(_ slab: Int, pixel: Int = 0) -> UnsafeMutablePointer<Float> {
    base + (slab * pixels + pixel) * ChannelSlabs.lanes
  }
}
