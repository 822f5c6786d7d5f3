import Platform

extension Dataset {
  /// Why images cannot be read, as far as their first and last bytes show it, in the list's order: what is cut off, empty or something
  /// else. Images that look wrong are decoded, and those that cannot be are told; damage inside of a file shows only when it is decoded
  /// (`DataCheck`).
  public func outlineErrors(pool: ThreadPool) -> [ChestXrayError] {
    pool.map(paths.count) { Radiograph.outlineError(paths[$0]) }.compactMap { $0 }
  }
}

extension Radiograph {
  /// Signature and `IEND` chunk of PNG.
  private static let png: (head: [UInt8], tail: [UInt8]) = (
    [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], [0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82]
  )
  /// Start and end of JPEG.
  private static let jpeg: (head: [UInt8], tail: [UInt8]) = ([0xFF, 0xD8, 0xFF], [0xFF, 0xD9])

  fileprivate static func outlineError(_ path: String) -> ChestXrayError? {
    do throws(ChestXrayError) {
      if try !hasSoundEnds(path) { _ = try read(path) }
      return nil
    } catch {
      return error
    }
  }

  private static func hasSoundEnds(_ path: String) throws(ChestXrayError) -> Bool {
    do throws(PlatformError) {
      let file = try FileReader(path: path)
      guard file.size >= 24 else { return false }
      let (head, tail) = (try file.read(at: 0, count: 8), try file.read(at: file.size - 12, count: 12))
      return [png, jpeg].contains { head.starts(with: $0.head) && tail.suffix($0.tail.count).elementsEqual($0.tail) }
    } catch {
      throw .platform(error)
    }
  }
}
