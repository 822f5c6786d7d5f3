import CPlatform

/// Gives up for good all that a process does not need which reads one file that it does not trust (`platform_confine`).
///
/// It keeps: the socket at descriptor 0, reading of the file at descriptor 3, `memory` more bytes of address space, and
/// `processorMilliseconds` in all. Throws `cannotConfine`: then the process must end.
public func confineProcess(memory: Int, processorMilliseconds: Int) throws(PlatformError) {
  var code: Int32 = 0
  let limits = platform_limits(memory: memory, processor_milliseconds: UInt32(clamping: processorMilliseconds))
  if let refused = platform_confine(limits, &code) {
    throw .cannotConfine(doing: String(cString: refused), errno: code)
  }
}
