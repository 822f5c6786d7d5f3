import CCUDAKernels
import Engine

/// A matrix of bf16 in a device's memory, and its boxes, which kernels copy in bulk to shared memory and back.
struct CUDATensor {
  let address: DeviceAddress
  let rows: Int
  let columns: Int
  /// Elements from a row to the next, a multiple of 8.
  let stride: Int
  /// Rows, at most 256, and columns: 64, or 32, as the tiles of `tile.h` have.
  let box: (rows: Int, columns: Int)

  init(_ address: DeviceAddress, rows: Int, columns: Int, stride: Int? = nil, box: (rows: Int, columns: Int)) {
    precondition(box.columns == 64 || box.columns == 32, "a tile has 64 columns, or 32")
    (self.address, self.rows, self.columns, self.stride) = (address, rows, columns, stride ?? columns)
    self.box = box
  }

  /// What a kernel is told of it. What lies outside of the matrix is zero, and chunks of 16 bytes are permuted as in `Tile`. `operation`: for an error.
  func map(by device: CUDADevice, for operation: @autoclosure () -> String) throws(BackendError) -> tensor_map {
    let bytes = MemoryLayout<UInt16>.size
    let sizes = [UInt64(columns), UInt64(rows)]
    let strides = [UInt64(stride * bytes)]
    let boxes = [UInt32(box.columns), UInt32(box.rows)]
    let steps: [UInt32] = [1, 1]
    var map = tensor_map()
    let status = withUnsafeTemporaryAllocation(byteCount: MemoryLayout<tensor_map>.size, alignment: 128) { place in
      let status = device.functions.encodeTensor(
        place.baseAddress, CUDAConstant.bf16, CUnsignedInt(sizes.count),
        UnsafeMutableRawPointer(bitPattern: UInt(address)), sizes,
        strides, boxes, steps, CUDAConstant.notInterleaved,
        box.columns == 64 ? CUDAConstant.swizzle128 : CUDAConstant.swizzle64, CUDAConstant.fetches128,
        CUDAConstant.zeros)
      if status == 0 { map = place.load(as: tensor_map.self) }
      return status
    }
    try device.check("cuTensorMapEncodeTiled", status, operation())
    return map
  }
}
