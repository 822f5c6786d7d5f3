import CKernels
import Testing

/// An instruction set of the kernels of pixels.
struct PixelLevel: CustomTestStringConvertible, Sendable {
  let value: ck_level

  var testDescription: String { String(cString: ck_level_name(value)) }

  /// All that this processor can run.
  static let all: [PixelLevel] = (0..<UInt32(CK_LEVELS)).compactMap { number in
    let level = ck_level(rawValue: number)
    return ck_can_run(level) != 0 ? PixelLevel(value: level) : nil
  }
}
