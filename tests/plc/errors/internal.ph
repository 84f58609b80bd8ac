package .internal;
class .internal.string { int length() [11] {} long toLong() [17] { } };
class int { void int() {} };
class mine { int f( var s : .internal.string, var l : long ) { return s.length(); } };
