package .test;
class a { void f() { var s : string; s = "ÿþ";  s = 1; } };
