package .test;  ;;
class marked { int f() { return x; } };
